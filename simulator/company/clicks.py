"""What people click: sessions in browsers and in the app.

Here belong browsers, phones and tablets with who uses them, and the entities `web_events` and
`app_events`. Sessions that end in an order are told to `purchases`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from simulator.company.catalogue import Catalogue, hex_ids
from simulator.company.names import words
from simulator.company.people import TYPES, YEAR, People
from simulator.company.plan import DAY, Plan
from simulator.company.purchases import Checkouts, Orders, hours
from simulator.company.records import Records, known, moments, picked, texts

_BROWSE, _SEARCH, _CART, _PURCHASE = range(4)
_TYPES = pl.Series(
    ["login", "search", "view", "cart_add", "cart_remove", "checkout", "purchase"], dtype=pl.String
)
_LOGIN, _SEARCHED, _VIEW, _CART_ADD, _CART_REMOVE, _CHECKOUT, _PURCHASED = range(7)
_QUERIES = words(
    "커피 라면 운동화 크림 텀블러 이어폰 기저귀 셔츠 선물 청바지 충전기 샴푸 베개 "
    "퍼즐 coffee sneakers cushion earphones gift blanket 할인 신상품 무료배송"
)


@dataclass(frozen=True)
class Tokens:
    """Browsers or devices of a block, and the pairs of people and tokens that use them."""

    token: pl.Series
    owner: np.ndarray
    is_shared: np.ndarray
    knows_login: np.ndarray
    person: np.ndarray  # of each pair, ascending
    used: np.ndarray  # token of each pair


@dataclass(frozen=True)
class Sessions:
    """Visits. `login` is person × 2 + set, −1 for nobody; `order` −1 where nothing is bought."""

    person: np.ndarray
    token: np.ndarray
    begun_at: np.ndarray
    login: np.ndarray
    kind: np.ndarray
    order: np.ndarray
    product: np.ndarray


def browse(
    records: Records, block: int, orders: Orders, catalogue: Catalogue, rng: np.random.Generator
) -> Checkouts:
    """Write `web_events`, and say in which session each web order was placed."""
    plan, people = records.plan, records.people
    buys = orders.is_web
    buyers = np.zeros(len(people), dtype=bool)
    buyers[orders.person[buys]] = True
    stays = _active(plan, people)
    is_user = buyers | (stays & (rng.random(len(people)) < 0.65))
    owner = np.repeat(
        np.arange(len(people)), np.where(is_user, 1 + rng.binomial(2, 0.3, len(people)), 0)
    )
    browsers = _tokens(
        plan, people, rng, owner, is_user, texts(hex_ids(rng, len(owner))), may_share=True
    )
    visits = _visits(plan, people, rng, browsers, 0.6)

    # Each web order in a browser that its buyer uses.
    bought = np.flatnonzero(buys)
    person = orders.person[bought]
    token = _any_token(rng, browsers, person)
    set_ = people.set_at(person, orders.at[bought], rng.random(len(person)))
    login = _log_in(people, rng, browsers, person, token, set_, 0.7)
    views = orders.first_product[bought]
    shopping = Sessions(
        person,
        token,
        orders.at[bought],
        login,
        np.full(len(person), _PURCHASE),
        np.arange(len(person)),
        views,
    )
    at_kiosk = _kiosk_visits(
        plan, people, rng, len(browsers.token), len(catalogue.kiosk_cookies), stays
    )
    sessions = _together(visits, shopping, at_kiosk)
    tokens = pl.concat([browsers.token, texts(catalogue.kiosk_cookies)])
    _tell_users(records, "cookie", browsers, tokens, at_kiosk)
    _write_events(records, block, "web_events", "cookie", tokens, sessions, catalogue, rng)
    return Checkouts(set_, picked(_logins(people), login).to_list(), picked(browsers.token, token))


def use_app(records: Records, block: int, catalogue: Catalogue, rng: np.random.Generator) -> Tokens:
    """Write `app_events`; return the devices, for push messages."""
    plan, people = records.plan, records.people
    stays = _active(plan, people)
    has_account = known(people.login[:, 0])
    is_user = stays & (rng.random(len(people)) < np.where(has_account, 0.5, 0.08))
    owner = np.flatnonzero(is_user)
    kinds = rng.choice(["and", "ios"], len(owner), p=[0.7, 0.3])
    names = [f"{kind}-{id_}" for kind, id_ in zip(kinds, hex_ids(rng, len(owner)), strict=True)]
    phones = _tokens(plan, people, rng, owner, is_user, texts(names), may_share=False)
    tablet_owner = np.flatnonzero(stays & (rng.random(len(people)) < 0.12))
    names = [f"tab-{id_}" for id_ in hex_ids(rng, len(tablet_owner))]
    # A family's tablet lies in the living room: whoever is there uses it, app user or not.
    tablets = _tokens(plan, people, rng, tablet_owner, stays, texts(names), may_share=True)
    devices = Tokens(
        pl.concat([phones.token, tablets.token]),
        np.concatenate([phones.owner, tablets.owner]),
        np.concatenate([phones.is_shared, tablets.is_shared]),
        np.ones(len(phones.owner) + len(tablets.owner), dtype=bool),
        np.concatenate([phones.person, tablets.person]),
        np.concatenate([phones.used, tablets.used + len(phones.owner)]),
    )
    by_person = np.argsort(devices.person, kind="stable")
    devices = Tokens(
        devices.token,
        devices.owner,
        devices.is_shared,
        devices.knows_login,
        devices.person[by_person],
        devices.used[by_person],
    )
    visits = _visits(plan, people, rng, devices, 0.85)
    at_kiosk = _kiosk_visits(
        plan, people, rng, len(devices.token), len(catalogue.kiosk_devices), stays
    )
    sessions = _together(visits, at_kiosk)
    tokens = pl.concat([devices.token, texts(catalogue.kiosk_devices)])
    _tell_users(records, "device", devices, tokens, at_kiosk)
    _write_events(records, block, "app_events", "device", tokens, sessions, catalogue, rng)
    return devices


def _active(plan: Plan, people: People) -> np.ndarray:
    """Whether people are customers for at least a day of the period."""
    return (
        np.minimum(people.churned_at, plan.end) - np.maximum(people.acquired_at, plan.start) > DAY
    )


def _tokens(
    plan: Plan,
    people: People,
    rng: np.random.Generator,
    owner: np.ndarray,
    is_user: np.ndarray,
    token: pl.Series,
    *,
    may_share: bool,
) -> Tokens:
    """Who uses what: a share of the tokens is used by the others of the household too.

    Only households with two users can share, so their chance is raised until the share of all
    tokens comes out as told.
    """
    count = len(owner)
    users = np.bincount(people.household[is_user], minlength=int(people.household.max()) + 1)
    owner_is_user = is_user[owner].astype(np.int64)
    can_share = users[people.household[owner]] - owner_is_user > 0
    chance = (
        plan.noise.shared_device / max(float(can_share.mean()) if count else 0, 0.01)
        if may_share
        else 0
    )
    is_shared = can_share & (rng.random(count) < chance)
    has_account = known(people.login[:, 0])
    with_account = has_account[owner]
    missing = plan.noise.cookie_never_logged_in * count - (~with_account).sum()
    never = max(missing, 0) / max(int(with_account.sum()), 1)
    knows_login = with_account & (rng.random(count) >= never)

    pairs = [np.stack([owner, np.arange(count)])]
    members = np.flatnonzero(is_user)
    for place in np.flatnonzero(is_shared):
        # Members of a household stand together: look only around the owner.
        low, high = np.searchsorted(
            people.household, [people.household[owner[place]], people.household[owner[place]] + 1]
        )
        others = (
            members[(members >= low) & (members < high) & (members != owner[place])]
            if high - low > 1
            else []
        )
        if len(others):
            pairs.append(np.stack([others, np.full(len(others), place)]))
    person, used = np.concatenate(pairs, axis=1)
    by_person = np.argsort(person, kind="stable")
    return Tokens(token, owner, is_shared, knows_login, person[by_person], used[by_person])


def _visits(
    plan: Plan, people: People, rng: np.random.Generator, tokens: Tokens, logs_in: float
) -> Sessions:
    """Visits that end in no order: one at least of every pair, and more by the type of person."""
    begin, end = np.maximum(people.acquired_at, plan.start), np.minimum(people.churned_at, plan.end)
    span = np.maximum(end - begin, 0)
    users = np.unique(tokens.person)
    rate = np.array([t.sessions for t in TYPES])[people.type_[users]] * rng.gamma(
        1.5, 1 / 1.5, len(users)
    )
    more = np.repeat(users, rng.poisson(rate * span[users] / YEAR))
    person = np.concatenate([tokens.person, more])
    token = np.concatenate([tokens.used, _any_token(rng, tokens, more)])
    at = begin[person] + rng.random(len(person)) * span[person]
    # Hours of the day as people keep them, but nobody clicks before coming or after leaving.
    usual = at // DAY * DAY + hours(rng, len(person), of_web=True)
    at = np.floor(np.where((usual >= begin[person]) & (usual < end[person]), usual, at))
    at = np.minimum(at, plan.end - 1)
    set_ = people.set_at(person, at, rng.random(len(person)))
    login = _log_in(people, rng, tokens, person, token, set_, logs_in)
    firsts = np.arange(len(person)) < len(tokens.person)
    is_owner = tokens.owner[token] == person
    must = (
        firsts & is_owner & tokens.knows_login[token] & (login < 0) & known(people.login[person, 0])
    )
    login = np.where(must, person * 2, login)
    kind = rng.choice([_BROWSE, _SEARCH, _CART], len(person), p=[0.55, 0.25, 0.20])
    nothing = np.full(len(person), -1)
    return Sessions(person, token, at, login, kind, nothing, nothing)


def _any_token(rng: np.random.Generator, tokens: Tokens, person: np.ndarray) -> np.ndarray:
    low = np.searchsorted(tokens.person, person, side="left")
    high = np.searchsorted(tokens.person, person, side="right")
    return tokens.used[low + (rng.random(len(person)) * (high - low)).astype(np.int64)]


def _log_in(
    people: People,
    rng: np.random.Generator,
    tokens: Tokens,
    person: np.ndarray,
    token: np.ndarray,
    set_: np.ndarray,
    share: float,
) -> np.ndarray:
    """Code of the login used in each session, −1 where nobody logs in."""
    can = tokens.knows_login[token] & known(people.login[person, set_])
    return np.where(can & (rng.random(len(person)) < share), person * 2 + set_, -1)


def _kiosk_visits(
    plan: Plan, people: People, rng: np.random.Generator, first: int, kiosks: int, stays: np.ndarray
) -> Sessions:
    """One visit each of those who used a kiosk, always logged in."""
    has_account = known(people.login[:, 0])
    person = np.flatnonzero(has_account & stays & (rng.random(len(people)) < plan.noise.kiosk_user))
    begin = np.maximum(people.acquired_at[person], plan.start)
    end = np.minimum(people.churned_at[person], plan.end)
    at = np.floor(begin + rng.random(len(person)) * (end - begin - 1))
    token = first + rng.integers(kiosks, size=len(person))
    kind = rng.choice([_BROWSE, _SEARCH], len(person))
    nothing = np.full(len(person), -1)
    return Sessions(person, token, at, person * 2, kind, nothing, nothing)


def _together(*sessions: Sessions) -> Sessions:
    return Sessions(
        *(
            np.concatenate([getattr(s, name) for s in sessions])
            for name in Sessions.__dataclass_fields__
        )
    )


def _tell_users(
    records: Records, type_: str, tokens: Tokens, names: pl.Series, at_kiosk: Sessions
) -> None:
    sharing = np.bincount(tokens.used, minlength=len(tokens.token)) > 1
    kind = np.where(sharing[tokens.used], "shared", "own")
    records.identify(type_, picked(names, tokens.used).to_list(), tokens.person, kind)
    records.identify(type_, picked(names, at_kiosk.token).to_list(), at_kiosk.person, "kiosk")


def _logins(people: People) -> pl.Series:
    """Logins by code: person × 2 + set."""
    return texts(people.login.reshape(-1))


def _write_events(
    records: Records,
    block: int,
    entity: str,
    token_name: str,
    tokens: pl.Series,
    sessions: Sessions,
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> None:
    """Unfold sessions into events: log in, search, view, then cart and check-out by their kind."""
    kind, count = sessions.kind, len(sessions.kind)
    logs_in = ((sessions.login >= 0) & (rng.random(count) < 0.5)).astype(np.int64)
    searches = ((kind == _SEARCH) | ((kind == _PURCHASE) & (rng.random(count) < 0.3))).astype(
        np.int64
    )
    views = np.minimum(rng.geometric(0.45, count), 12)
    removes = (kind == _CART) & (rng.random(count) < 0.25)
    tail = np.where(kind == _PURCHASE, 3, np.where(kind == _CART, 1 + removes, 0))
    lead = logs_in + searches
    total = lead + views + tail
    at = np.repeat(np.arange(count), total)
    begins = np.cumsum(total) - total
    place = np.arange(len(at)) - begins[at]
    after = place - (lead + views)[at]
    bought = np.array([_CART_ADD, _CHECKOUT, _PURCHASED])[np.clip(after, 0, 2)]
    carted = np.where(after == 0, _CART_ADD, _CART_REMOVE)
    type_ = np.select(
        [place < logs_in[at], place < lead[at], after < 0, kind[at] == _PURCHASE],
        [_LOGIN, _SEARCHED, _VIEW, bought],
        carted,
    )
    gap = np.where(place == 0, 0, rng.gamma(1.3, 30, len(at)).astype(np.int64) + 3)
    passed = np.cumsum(gap)
    passed = passed - passed[begins][at] if len(at) else passed
    last = passed[begins + total - 1] if count else passed
    # An order's session ends with the order; others begin at their moment.
    start = np.where(kind == _PURCHASE, sessions.begun_at - last, sessions.begun_at)
    when = np.minimum(start[at] + passed, records.plan.end - 1)
    product = np.searchsorted(catalogue.popularity, rng.random(len(at)) * 0.999_999)
    product = catalogue.products["product_id"].to_numpy()[product]
    product = np.where(
        (type_ == _CART_ADD) & (sessions.order[at] >= 0), sessions.product[at], product
    )
    has_product = np.isin(type_, (_VIEW, _CART_ADD, _CART_REMOVE))
    shown = pl.Series(product).cast(pl.Int64).set(pl.Series(~has_product), None)
    queries = np.where(type_ == _SEARCHED, rng.integers(len(_QUERIES), size=len(at)), -1)
    names = picked(_TYPES, type_)
    columns = {
        "event_id": pl.Series(block * 10_000_000 + np.arange(len(at)), dtype=pl.Int64),
        token_name: picked(tokens, sessions.token[at]),
        "login": picked(_logins(records.people), sessions.login[at]),
        "event_type": names,
        "product_id": shown,
        "query_text": picked(texts(list(_QUERIES)), queries),
        "occurred_at": moments(when),
    }
    if entity == "web_events":
        pages = pl.Series(
            ["/login", "/search", "/p", "/cart", "/cart", "/checkout", "/thanks"], dtype=pl.String
        )
        columns["page"] = picked(pages, type_)
    records.export(entity, when, **columns)
