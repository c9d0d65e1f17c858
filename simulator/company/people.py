"""Who there is: people in households, some in companies, with what belongs to them.

Here belong a block's people, their names, addresses, identifiers and hidden traits. What they do
belongs in `journeys`; what a system writes down about them, in `crm`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from simulator.company import contacts, names
from simulator.company.plan import BLOCK, DAY, Plan

YEAR = 365 * DAY


@dataclass(frozen=True)
class LatentType:
    """A kind of customer. Rates are a year's; `hazard` is that of leaving for good."""

    name: str
    share: float
    orders: float
    hazard: float
    web_share: float
    sessions: float
    discount: float
    happiness: float


# Rates and hazards vary within a type by gamma distributions, as in the Pareto/NBD model
# (Schmittlein, Morrison, Colombo 1987): orders by shape 2, hazards by shape 1.5.
TYPES = (
    LatentType("loyal", 0.12, 26, 0.10, 0.35, 8, 0.10, 0.5),
    LatentType("regular", 0.28, 11, 0.25, 0.35, 5, 0.12, 0.3),
    LatentType("bargain_hunter", 0.12, 7, 0.60, 0.50, 9, 0.45, 0.0),
    LatentType("occasional", 0.30, 4, 0.50, 0.30, 3, 0.15, 0.1),
    LatentType("one_timer", 0.10, 1.5, 2.0, 0.45, 2, 0.25, -0.2),
    LatentType("browser", 0.08, 0.5, 0.8, 0.80, 14, 0.20, 0.0),
)
_ORDER_SHAPE, _HAZARD_SHAPE = 2.0, 1.5


@dataclass(frozen=True)
class People:
    """A block of people, as arrays of equal length, in seconds of local time where a time is meant.

    A person has two sets of identifiers. Set 0 is the first registration's; set 1 exists where
    `second_from` is finite, and may share some of set 0's. `None` means that there is none.
    """

    number: np.ndarray
    household: np.ndarray
    company: np.ndarray  # index into the block's companies, -1 for none
    is_adult: np.ndarray
    born: np.ndarray  # datetime64[D]
    surname: list[str]
    given: list[str]
    addresses: list[tuple[str, ...]]  # by household
    postcodes: list[str]
    new_addresses: list[tuple[str, ...]]
    new_postcodes: list[str]
    moved_at: np.ndarray  # by household, infinite for never
    companies: list[tuple[tuple[str, ...], str]]
    type_: np.ndarray  # index into TYPES
    order_rate: np.ndarray  # a year
    hazard: np.ndarray  # a year
    acquired_at: np.ndarray
    churned_at: np.ndarray
    mood: np.ndarray
    is_member: np.ndarray
    second_from: np.ndarray
    second_kind: np.ndarray  # 0 other e-mail, 1 other phone, 2 both; -1 for none
    phone_changed_at: np.ndarray
    email: np.ndarray  # [n, 2] of text
    email_kind: np.ndarray  # [n, 2] of own, mailbox
    phone: np.ndarray  # [n, 2], eight digits
    phone_kind: np.ndarray  # [n, 2] of own, shared, recycled
    new_phone: np.ndarray  # set 0's from phone_changed_at on
    login: np.ndarray  # [n, 2] of text or None
    card: np.ndarray
    member_id: np.ndarray
    former_phone: np.ndarray  # what a member's old CRM row says though another has the number now

    def __len__(self) -> int:
        return len(self.number)

    def name(self, at: int) -> str:
        """The name as most would write it."""
        latin = self.surname[at].isascii() or "ü" in self.surname[at]
        return (
            f"{self.given[at]} {self.surname[at]}" if latin else self.surname[at] + self.given[at]
        )

    def set_at(self, person: np.ndarray, moment: np.ndarray, luck: np.ndarray) -> np.ndarray:
        """Which set of identifiers a person uses: after the second registration either of them."""
        return ((moment >= self.second_from[person]) & (luck < 0.5)).astype(np.int64)

    def phone_at(self, person: np.ndarray, set_: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """Eight digits of the phone a person gives at a moment."""
        is_new = (set_ == 0) & (moment >= self.phone_changed_at[person])
        return np.where(is_new, self.new_phone[person], self.phone[person, set_])


def draw_people(
    plan: Plan, block: int, rng: np.random.Generator, first_order: np.ndarray | None
) -> People:
    """Draw a block of people. `first_order`: of a given history, a moment for each person."""
    count = plan.block_size(block)
    number = block * BLOCK + np.arange(count)
    household, place, size = _households(rng, count)
    sex, age = _ages(rng, household, place, size)
    is_adult = age >= 19
    born = (
        np.datetime64(plan.first_day, "D")
        - (age * 365.25).astype(np.int64)
        - rng.integers(0, 365, count)
    )
    surname, given = _names(rng, household, place, sex, born)
    n_households = int(household[-1]) + 1
    addresses, postcodes = names.draw_addresses(rng, n_households)
    new_addresses, new_postcodes = names.draw_addresses(rng, n_households)
    moved_at = _some_moments(plan, rng, n_households, 0.04)
    company, companies = _companies(plan, block, rng, is_adult)

    type_ = rng.choice(len(TYPES), count, p=[t.share for t in TYPES])
    order_rate = rng.gamma(_ORDER_SHAPE, _of(type_, "orders") / _ORDER_SHAPE)
    hazard = rng.gamma(_HAZARD_SHAPE, _of(type_, "hazard") / _HAZARD_SHAPE)
    acquired_at, churned_at = _lifetimes(plan, rng, hazard, first_order)
    mood = _of(type_, "happiness") + rng.normal(0, 0.4, count)

    is_member = rng.random(count) < 0.85
    second_from = np.maximum(acquired_at + 30 * DAY, plan.start - YEAR)
    second_from = second_from + rng.random(count) * np.maximum(plan.end - 10 * DAY - second_from, 0)
    is_second = is_member & (rng.random(count) < plan.noise.registered_twice)
    second_from = np.where(is_second, second_from, np.inf)
    second_kind = np.where(is_second, rng.choice(3, count, p=[0.40, 0.25, 0.35]), -1)
    phone_changed_at = np.where(is_second, np.inf, _some_moments(plan, rng, count, 0.05))

    latin = [_latin(s, g) for s, g in zip(surname, given, strict=True)]
    email, email_kind = _emails(plan, rng, number, latin, company, companies, second_kind)
    phone, phone_kind, former = _phones(
        plan, rng, number, household, place, is_member, acquired_at, second_kind
    )
    login = _second(
        contacts.draw_logins(rng, plan, number, 0, latin),
        contacts.draw_logins(rng, plan, number, 1, latin),
        rng,
        second_kind,
        keep=0.6,
    )
    login[rng.random(count) >= 0.70] = None
    card = _second(
        contacts.cards(plan, number, 0), contacts.cards(plan, number, 1), rng, second_kind, keep=0.3
    )
    card[~is_member | (rng.random(count) >= 0.80)] = None
    member_id = np.stack([contacts.member_ids(plan, number, slot) for slot in (0, 1)], axis=1)
    return People(
        number=number,
        household=household,
        company=company,
        is_adult=is_adult,
        born=born,
        surname=surname,
        given=given,
        addresses=addresses,
        postcodes=postcodes,
        new_addresses=new_addresses,
        new_postcodes=new_postcodes,
        moved_at=moved_at,
        companies=companies,
        type_=type_,
        order_rate=order_rate,
        hazard=hazard,
        acquired_at=acquired_at,
        churned_at=np.maximum(churned_at, acquired_at + 1),
        mood=mood,
        is_member=is_member,
        second_from=second_from,
        second_kind=second_kind,
        phone_changed_at=phone_changed_at,
        email=email,
        email_kind=email_kind,
        phone=phone,
        phone_kind=phone_kind,
        new_phone=contacts.phones(plan, number, 2),
        login=login,
        card=card,
        member_id=member_id,
        former_phone=former,
    )


def _of(type_: np.ndarray, trait: str) -> np.ndarray:
    return np.array([getattr(t, trait) for t in TYPES])[type_]


def _households(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Household of each person, place in it from 0, and its size; the last is cut to fit."""
    sizes = rng.choice([1, 2, 3, 4, 5], count, p=[0.33, 0.29, 0.20, 0.15, 0.03])
    household = np.repeat(np.arange(count), sizes)[:count]
    sizes = np.bincount(household)
    place = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return household, place, np.repeat(sizes, sizes)


def _ages(
    rng: np.random.Generator, household: np.ndarray, place: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sex (1 male) and age: a head, a partner of the other sex, and children from ten years on."""
    count = len(household)
    head = np.flatnonzero(place == 0)[household]
    sex = rng.integers(2, size=count)
    sex = np.where(place == 1, 1 - sex[head], sex)
    age = np.clip(rng.gamma(8, 5.5, count) + 4, 19, 88).astype(np.int64)
    age = np.where(size >= 3, rng.integers(38, 60, count), age)
    partner = age[head] + rng.integers(-5, 6, count)
    child = age[head] - rng.integers(24, 36, count)
    age = np.where(
        place == 1, np.maximum(partner, 19), np.where(place >= 2, np.clip(child, 10, 32), age)
    )
    return sex, age


def _names(
    rng: np.random.Generator,
    household: np.ndarray,
    place: np.ndarray,
    sex: np.ndarray,
    born: np.ndarray,
) -> tuple[list[str], list[str]]:
    """Surnames and given names: children bear their father's, partners keep their own."""
    count = len(household)
    surname = rng.choice(names.SURNAMES, count, p=names.SURNAME_WEIGHTS).astype(object)
    latin_surname = rng.choice(names.LATIN_SURNAMES, count).astype(object)
    given = np.array(
        names.draw_given(rng, born.astype("datetime64[Y]").astype(int) + 1970, sex), dtype=object
    )
    latin_given = np.where(
        sex == 1,
        rng.choice(names.LATIN_GIVEN[1], count),
        rng.choice(names.LATIN_GIVEN[0], count),
    )
    is_latin = (rng.random(count) < 0.06)[household]
    surname = np.where(is_latin, latin_surname, surname)
    head = np.flatnonzero(place == 0)[household]
    # In a household with children there always is a partner, who comes right after the head.
    father = np.where(sex[head] == 1, head, np.minimum(head + 1, count - 1))
    surname = np.where(place >= 2, surname[father], surname)
    return surname.tolist(), np.where(is_latin, latin_given, given).tolist()


def _latin(surname: str, given: str) -> str:
    """A name as it may stand in an e-mail address: given name, full stop, surname."""
    if surname.isascii() or "ü" in surname:
        return f"{given}.{surname}".lower().replace("'", "").replace("ü", "u")
    return f"{names.romanise(given)}.{names.romanise_surname(surname)}"


def _companies(
    plan: Plan, block: int, rng: np.random.Generator, is_adult: np.ndarray
) -> tuple[np.ndarray, list[tuple[tuple[str, ...], str]]]:
    """A tenth of the adults buy for, or through, the company they work in."""
    count = len(is_adult)
    company = np.full(count, -1)
    workers = rng.permutation(np.flatnonzero(is_adult & (rng.random(count) < 0.10)))
    sizes = rng.choice(
        [2, 4, 6, 10, 16, 25], len(workers) + 1, p=[0.3, 0.25, 0.2, 0.13, 0.08, 0.04]
    )
    company[workers] = np.repeat(np.arange(len(sizes)), sizes)[: len(workers)]
    used = int(company.max()) + 1
    return company, names.draw_companies(rng, block * BLOCK + np.arange(used) + plan.seed % 89)


def _lifetimes(
    plan: Plan, rng: np.random.Generator, hazard: np.ndarray, first_order: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """When people come and leave for good: the life of a customer is exponential in its hazard."""
    count = len(hazard)
    tenure = np.minimum(rng.exponential(1.6 * YEAR, count), 7 * YEAR)
    is_new = rng.random(count) < 0.25
    acquired = np.where(
        is_new, plan.start + rng.random(count) * (plan.end - plan.start), plan.start - tenure
    )
    life = rng.exponential(1 / np.maximum(hazard, 1e-6)) * YEAR
    if first_order is not None:
        return np.minimum(acquired, first_order - 60), np.full(count, np.inf)
    # Who left long ago is in nobody's export of this year: lives count from half a year before.
    begun = np.maximum(acquired, plan.start - YEAR / 2)
    return np.floor(acquired), begun + life


def _some_moments(plan: Plan, rng: np.random.Generator, count: int, share: float) -> np.ndarray:
    """For a share of `count`, a moment in the period; infinity for the others."""
    moments = plan.start + rng.random(count) * (plan.end - plan.start)
    return np.where(rng.random(count) < share, moments, np.inf)


def _emails(
    plan: Plan,
    rng: np.random.Generator,
    number: np.ndarray,
    latin: list[str],
    company: np.ndarray,
    companies: list[tuple[tuple[str, ...], str]],
    second_kind: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    first = contacts.draw_emails(rng, plan, number, 0, latin)
    other = contacts.draw_emails(rng, plan, number, 1, latin)
    kind = np.full((len(number), 2), "own", dtype=object)
    has_mailbox = rng.random(len(companies)) < plan.noise.work_mailbox
    boxes = rng.choice(["order", "office", "purchase", "team", "contact"], len(companies))
    uses_mailbox, uses_work = rng.random(len(number)) < 0.6, rng.random(len(number)) < 0.4
    for at in np.flatnonzero(company >= 0):
        _, domain = companies[company[at]]
        if has_mailbox[company[at]] and uses_mailbox[at]:
            first[at], kind[at, 0] = f"{boxes[company[at]]}@{domain}", "mailbox"
        elif uses_work[at]:
            # The number keeps namesakes in one company apart.
            first[at] = f"{latin[at]}{number[at] % 1000}@{domain}"
    has_other = np.isin(second_kind, (0, 2))
    kind[:, 1] = np.where(has_other, "own", kind[:, 0])
    return np.stack([first, np.where(has_other, other, first)], axis=1), kind


def _phones(
    plan: Plan,
    rng: np.random.Generator,
    number: np.ndarray,
    household: np.ndarray,
    place: np.ndarray,
    is_member: np.ndarray,
    acquired_at: np.ndarray,
    second_kind: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Phones and kinds by set, and the former number of those whose number was recycled."""
    count = len(number)
    first, other = contacts.phones(plan, number, 0), contacts.phones(plan, number, 1)
    kind = np.full((count, 2), "own", dtype=object)

    # The new owner is new to the company; the former gave the number up over a year before that.
    share = plan.noise.phone_recycled * count
    givers = np.flatnonzero(is_member & (acquired_at < plan.start - 1.3 * YEAR) & (second_kind < 0))
    takers = np.flatnonzero(acquired_at >= plan.start)
    pairs = min(int(share + rng.random()), len(givers), len(takers))
    givers, takers = rng.permutation(givers)[:pairs], rng.permutation(takers)[:pairs]
    apart = household[givers] != household[takers]
    givers, takers = givers[apart], takers[apart]
    former = np.full(count, None, dtype=object)
    former[givers] = other[givers]
    first[takers], kind[takers, 0] = other[givers], "recycled"

    # In a family one phone is given for another: a child's or a partner's for the head's.
    head = np.flatnonzero(place == 0)[household]
    share = plan.noise.family_phone / max(float((place > 0).mean()), 0.05)
    family = (place > 0) & (rng.random(count) < share) & (kind[:, 0] == "own")
    first[family], kind[family, 0] = first[head[family]], "shared"
    kind[head[family], 0] = np.where(
        kind[head[family], 0] == "own", "shared", kind[head[family], 0]
    )
    has_other = np.isin(second_kind, (1, 2))
    kind[:, 1] = np.where(has_other, "own", kind[:, 0])
    return np.stack([first, np.where(has_other, other, first)], axis=1), kind, former


def _second(
    first: np.ndarray,
    other: np.ndarray,
    rng: np.random.Generator,
    second_kind: np.ndarray,
    *,
    keep: float,
) -> np.ndarray:
    """Both sets of a login or card: the second registration keeps it, gets another, or has none.

    Who registers with both e-mail and phone new has forgotten the first account: nothing is kept.
    """
    luck = rng.random(len(first))
    fresh = np.where(
        second_kind == 2, luck < 0.6, (luck >= keep) & (luck < keep + 0.5 * (1 - keep))
    )
    kept = (second_kind < 2) & (luck < keep)
    second = np.where(kept | (second_kind < 0), first, np.where(fresh, other, None))
    return np.stack([first, second], axis=1)


def truth(people: People, *, is_given: bool) -> pl.DataFrame:
    """One row per person: what nobody in the company knows.

    `is_given`: purchases are a given history's, so nobody knows what was behind them.
    """

    def hidden(values: np.ndarray) -> pl.Series:
        return pl.Series([None] * len(people) if is_given else values, dtype=pl.Float64)

    return pl.DataFrame(
        {
            "person_id": [f"P{n:08d}" for n in people.number.tolist()],
            "household_id": [f"H{people.number[0] + h:08d}" for h in people.household.tolist()],
            "company_id": [
                None if c < 0 else people.companies[c][1].split(".")[0]
                for c in people.company.tolist()
            ],
            "name": [people.name(at) for at in range(len(people))],
            "birth_date": pl.Series(people.born).cast(pl.Date),
            "latent_type": [TYPES[t].name for t in people.type_.tolist()],
            "order_rate": hidden(people.order_rate),
            "churn_hazard": hidden(people.hazard),
            "mood": people.mood,
            "acquired_at": _moments(people.acquired_at),
            "churned_at": _moments(people.churned_at),
            "is_member": people.is_member,
            "registered_twice": people.second_kind >= 0,
            "moved_at": _moments(people.moved_at[people.household]),
        }
    )


def _moments(moments: np.ndarray) -> pl.Series:
    known = np.isfinite(moments) & (moments < 4e9)
    values = pl.Series((np.where(known, moments, 0) * 1_000_000).astype(np.int64)).cast(
        pl.Datetime("us")
    )
    return values.set(~pl.Series(known), None)
