"""What people buy, at the till and on the web.

Here belong drawing purchases, or taking them from a given history, and the entities `receipts`,
`receipt_lines`, `web_orders` and `web_order_lines`. Clicking belongs in `clicks`.

Purchases follow the Pareto/NBD model: Poisson at a rate that is gamma distributed over people,
until they leave for good after an exponential time whose hazard is gamma distributed too. The rate
is that of an average day; months, weekdays and hours have their seasons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from simulator.company import contacts
from simulator.company.catalogue import STORES, Catalogue
from simulator.company.crm import written_addresses, written_names
from simulator.company.people import TYPES, People
from simulator.company.plan import DAY, Plan
from simulator.company.records import Records, e164s, known, moments, picked, record_ids, texts

_MONTHS = np.array([0.95, 0.85, 0.95, 0.95, 1.05, 0.95, 0.95, 0.95, 1.10, 1.00, 1.15, 1.30])
_WEEKDAYS = np.array([0.85, 0.85, 0.90, 0.95, 1.15, 1.30, 1.10])  # Thursday first, as in 1970
_STORE_HOURS = np.array([0] * 10 + [2, 3, 4, 4, 4, 5, 5, 6, 7, 6, 4, 2] + [0, 0], dtype=float)
_WEB_HOURS = np.array(
    [3, 2, 1, 1, 0.5, 0.5, 1, 2, 3, 4, 4, 4, 5, 4, 4, 4, 4, 4, 4, 5, 6, 8, 8, 6], dtype=float
)
COUPON_SHARE = 0.10


@dataclass(frozen=True)
class Orders:
    """Orders of a block in order of person; `lines` has one row per line, `order` points here."""

    person: np.ndarray
    at: np.ndarray
    is_web: np.ndarray
    lines: pl.DataFrame  # order, product_id, quantity, net_amount, discount_amount
    first_product: np.ndarray


def seasons(plan: Plan) -> np.ndarray:
    """Weight of every day of the period, one on average."""
    days = np.arange(plan.start // DAY, plan.end // DAY)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    weight = _MONTHS[month] * _WEEKDAYS[days % 7]
    return weight / weight.mean()


def hours(rng: np.random.Generator, count: int, *, of_web: bool) -> np.ndarray:
    """Seconds after midnight, by the hours of a shop or of people at home."""
    shares = _WEB_HOURS if of_web else _STORE_HOURS
    return rng.choice(24, count, p=shares / shares.sum()) * 3600 + rng.integers(0, 3600, count)


def draw_orders(
    plan: Plan, people: People, catalogue: Catalogue, rng: np.random.Generator
) -> Orders:
    """Draw a block's orders with their lines."""
    weight = np.concatenate([[0.0], np.cumsum(seasons(plan))])
    first = np.clip(people.acquired_at - plan.start, 0, plan.end - plan.start) / DAY
    last = np.clip(people.churned_at - plan.start, 0, plan.end - plan.start) / DAY
    days = np.arange(len(weight))
    low, high = np.interp(first, days, weight), np.interp(last, days, weight)
    counts = rng.poisson(people.order_rate / 365 * np.maximum(high - low, 0))
    person = np.repeat(np.arange(len(people)), counts)
    passed = low[person] + rng.random(len(person)) * (high - low)[person]
    day = np.interp(passed, weight, days).astype(np.int64)
    is_web = _goes_online(people, rng, person)
    clock = np.where(
        is_web, hours(rng, len(person), of_web=True), hours(rng, len(person), of_web=False)
    )
    at = plan.start + day * DAY + clock
    # The hour is drawn after the day: on the day of coming or leaving it may fall outside.
    lives = (at >= people.acquired_at[person]) & (at < people.churned_at[person])
    person, at, is_web = person[lives], at[lives], is_web[lives]
    lines, first_product = _lines(people, catalogue, rng, person)
    return Orders(person, at, is_web, lines, first_product)


def given_orders(people: People, lines: pl.DataFrame, rng: np.random.Generator) -> Orders:
    """Take a block's orders from a history: `person`, order_id, ordered_at and what a line has."""
    lines = lines.sort("person", "ordered_at", "order_id", maintain_order=True)
    lines = lines.with_columns(order=(pl.struct("person", "order_id").rle_id()))
    heads = lines.group_by("order", maintain_order=True).first()
    person = heads["person"].to_numpy().astype(np.int64)
    at = heads["ordered_at"].cast(pl.Datetime("us")).dt.epoch("s").to_numpy().astype(float)
    kept = lines.select("order", "product_id", "quantity", "net_amount", "discount_amount")
    return Orders(
        person, at, _goes_online(people, rng, person), kept, heads["product_id"].to_numpy()
    )


def _goes_online(people: People, rng: np.random.Generator, person: np.ndarray) -> np.ndarray:
    """Whether orders are placed on the web: people have habits around those of their type."""
    usual = np.array([t.web_share for t in TYPES])[people.type_]
    habit = rng.beta(np.maximum(2 * usual, 0.05), np.maximum(2 * (1 - usual), 0.05))
    return rng.random(len(person)) < habit[person]


def _lines(
    people: People, catalogue: Catalogue, rng: np.random.Generator, person: np.ndarray
) -> tuple[pl.DataFrame, np.ndarray]:
    counts = 1 + rng.poisson(1.1, len(person))
    order = np.repeat(np.arange(len(person)), counts)
    product = np.searchsorted(catalogue.popularity, rng.random(len(order)) * 0.999_999)
    quantity = np.minimum(rng.geometric(0.75, len(order)), 9)
    gross = np.round(catalogue.price[product] * quantity, 2)
    taste = np.array([t.discount for t in TYPES])[people.type_][person][order]
    share = np.where(
        rng.random(len(order)) < taste, rng.choice([0.05, 0.1, 0.2, 0.3], len(order)), 0.0
    )
    discount = np.round(gross * share, 2)
    numbers = catalogue.products["product_id"].to_numpy()
    frame = pl.DataFrame(
        {
            "order": order,
            "product_id": numbers[product],
            "quantity": quantity,
            "net_amount": np.round(gross - discount, 2),
            "discount_amount": discount,
        }
    )
    return frame, numbers[product[np.cumsum(counts) - counts]]


# --- receipts -------------------------------------------------------------------------


def ring_up(records: Records, block: int, orders: Orders, rng: np.random.Generator) -> None:
    """Write `receipts` and `receipt_lines`: with a loyalty card, a phone, both, or nothing."""
    people = records.people
    kept = np.flatnonzero(~orders.is_web)
    person, at = orders.person[kept], orders.at[kept]
    count = len(kept)
    set_ = people.set_at(person, at, rng.random(count))
    luck, habit = rng.random(count), rng.random(count)
    is_known = luck >= records.plan.noise.receipt_unidentified
    card = people.card[person, set_]
    has_card = known(card)
    shows_card = is_known & has_card & (habit < 0.88)
    tells_phone = is_known & (~shows_card | (habit < 0.06))
    card = np.where(shows_card, card, None)
    phone = np.where(tells_phone, people.phone_at(person, set_, at), None)
    ids = record_ids("R", block, count)
    records.belongs("receipts", ids, person)
    records.spoilt("receipts", ids.filter(pl.Series(~is_known)), "receipt_unidentified")
    records.identify("loyalty_card", card.tolist(), person, "own")
    records.identify("phone", e164s(phone), person, people.phone_kind[person, set_])
    records.export(
        "receipts",
        at,
        receipt_id=ids,
        store_id=pl.Series(1 + (people.household[person] * 7 + rng.integers(0, 2, count)) % STORES),
        loyalty_card=texts(card),
        phone=texts(contacts.write_phones(rng, phone.tolist())),
        sold_at=moments(at),
    )
    _write_lines(records, "receipt_lines", "receipt_id", orders, kept, ids)


def _write_lines(
    records: Records, entity: str, key: str, orders: Orders, kept: np.ndarray, ids: pl.Series
) -> None:
    place = np.full(len(orders.person), -1)
    place[kept] = np.arange(len(kept))
    at = place[orders.lines["order"].to_numpy()]
    lines = orders.lines.filter(pl.Series(at >= 0))
    at = at[at >= 0]
    begins = (
        np.flatnonzero(np.r_[True, at[1:] != at[:-1]]) if len(at) else np.empty(0, dtype=np.int64)
    )
    number = np.arange(len(at)) - np.repeat(begins, np.diff(np.r_[begins, len(at)])) + 1
    records.export(
        entity,
        orders.at[kept][at],
        **{
            key: picked(ids, at),
            "line_number": pl.Series(number, dtype=pl.Int32),
            "product_id": lines["product_id"],
            "quantity": lines["quantity"],
            "net_amount": lines["net_amount"],
            "discount_amount": lines["discount_amount"],
            ("sold_at" if key == "receipt_id" else "ordered_at"): moments(orders.at[kept][at]),
        },
    )


# --- web orders -----------------------------------------------------------------------


@dataclass(frozen=True)
class Checkouts:
    """In which session each web order was placed: the set of identifiers, the login, the cookie."""

    set_: np.ndarray
    login: list[str | None]
    cookie: pl.Series


def check_out(
    records: Records,
    block: int,
    orders: Orders,
    checkouts: Checkouts,
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> None:
    """Write `web_orders` and `web_order_lines`. Guests leave e-mail and phone as members do."""
    people, plan = records.people, records.plan
    kept = np.flatnonzero(orders.is_web)
    person, at = orders.person[kept], orders.at[kept]
    count = len(kept)
    email, phone = people.email[person, checkouts.set_], people.phone_at(person, checkouts.set_, at)
    phone = np.where(rng.random(count) < 0.92, phone, None)
    name, misspelt = written_names(people, rng, person, plan.noise)
    address, postcode = written_addresses(people, rng, person, at, plan.noise)
    picks_up = rng.random(count) < plan.noise.detail_missing
    address[picks_up], postcode[picks_up] = None, None
    campaign = _campaign(catalogue, at)
    has_coupon = (campaign >= 0) & (rng.random(count) < COUPON_SHARE)
    codes = [f"C{number}" for number in catalogue.campaigns["campaign_id"].to_list()]
    coupon = picked(texts(codes), np.where(has_coupon, campaign, -1))
    ids = record_ids("W", block, count)
    records.belongs("web_orders", ids, person)
    records.spoilt(
        "web_orders",
        ids.filter(pl.Series(misspelt)),
        "name_misspelt",
        ["name"] * int(misspelt.sum()),
    )
    records.spoilt(
        "web_orders",
        ids.filter(pl.Series(picks_up)),
        "detail_missing",
        ["address"] * int(picks_up.sum()),
    )
    records.identify("login", checkouts.login, person, "own")
    records.identify("email", email.tolist(), person, people.email_kind[person, checkouts.set_])
    records.identify("phone", e164s(phone), person, people.phone_kind[person, checkouts.set_])
    records.export(
        "web_orders",
        at,
        order_id=ids,
        login=texts(checkouts.login),
        email=texts(contacts.write_emails(rng, email.tolist())),
        phone=texts(contacts.write_phones(rng, phone.tolist())),
        recipient_name=texts(name),
        address=texts(address),
        postcode=texts(postcode),
        cookie=checkouts.cookie,
        coupon_code=coupon,
        ordered_at=moments(at),
    )
    _write_lines(records, "web_order_lines", "order_id", orders, kept, ids)


def _campaign(catalogue: Catalogue, at: np.ndarray) -> np.ndarray:
    """Index of the e-mail campaign that runs at a moment, −1 for none."""
    mails = np.flatnonzero((catalogue.campaigns["channel"] == "email").to_numpy())
    begins = catalogue.campaign_at[mails]
    latest = np.searchsorted(begins, at, side="right") - 1
    runs = (latest >= 0) & (at - begins[np.maximum(latest, 0)] < 9 * DAY)
    return np.where(runs, mails[np.maximum(latest, 0)], -1)
