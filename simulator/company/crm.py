"""What the CRM holds: a row for each registration, and what people agreed to.

Here belong `crm_members` and `consents`, with the noise of the CRM's forms. What people do in shop
and web belongs in `journeys`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from simulator.company import contacts, noise
from simulator.company.people import YEAR, People
from simulator.company.plan import DAY, Noise
from simulator.company.records import Records, e164s, known, moments, record_ids, texts


@dataclass(frozen=True)
class Registrations:
    """Registrations of a block, with their keys as the CRM knows them: right or wrong.

    `person` and `set_` say whose and which set of identifiers was meant; e-mails are in normal
    form, phones eight digits; None where the CRM has none.
    """

    person: np.ndarray
    set_: np.ndarray
    registered_at: np.ndarray
    email: np.ndarray
    phone: np.ndarray
    login: np.ndarray
    email_kind: np.ndarray
    phone_kind: np.ndarray


def register(records: Records, block: int, rng: np.random.Generator) -> Registrations:
    """Write the rows of `crm_members` and their truth; return what was registered."""
    plan, people = records.plan, records.people
    members, again = np.flatnonzero(people.is_member), np.flatnonzero(people.second_kind >= 0)
    person = np.concatenate([members, again])
    set_ = np.concatenate(
        [np.zeros(len(members), dtype=np.int64), np.ones(len(again), dtype=np.int64)]
    )
    count = len(person)
    begun = people.acquired_at[person] + rng.random(count) ** 3 * 20 * DAY
    registered_at = np.floor(
        np.minimum(np.where(set_ == 1, people.second_from[person], begun), plan.end - 60)
    )
    ids = record_ids("C", block, count)
    records.belongs("crm_members", ids, person)
    records.spoilt("crm_members", ids.filter(pl.Series(set_ == 1)), "registered_twice")

    email = np.where(rng.random(count) < 0.93, people.email[person, set_], None)
    phone = people.phone_at(person, set_, registered_at)
    phone = np.where(known(people.former_phone[person]), people.former_phone[person], phone)
    phone = np.where((rng.random(count) < 0.95) | ~known(email), phone, None)
    login = np.where(rng.random(count) < 0.6, people.login[person, set_], None)
    keys = {
        "email": email,
        "phone": phone,
        "loyalty_card": people.card[person, set_],
        "login": login,
    }
    is_former = known(people.former_phone[person])
    kinds = {
        "email": people.email_kind[person, set_].copy(),
        "phone": np.where(is_former, "recycled", people.phone_kind[person, set_]),
        "loyalty_card": np.full(count, "own", dtype=object),
        "login": np.full(count, "own", dtype=object),
    }
    is_spoilt = _spoil_keys(records, rng, ids, keys, kinds)

    name, birth, address, postcode = _details(records, rng, ids, person, registered_at)
    company = _company_names(people, rng, person)
    row = {
        "profile_id": ids,
        "member_id": texts(people.member_id[person, set_]),
        "name": texts(name),
        "birth_date": texts(birth),
        "address": texts(address),
        "postcode": texts(postcode),
        "company": texts(company),
        "email": texts(contacts.write_emails(rng, keys["email"].tolist())),
        "phone": texts(contacts.write_phones(rng, keys["phone"].tolist())),
        "loyalty_card": texts(keys["loyalty_card"]),
        "login": texts(keys["login"]),
        "is_email_verified": pl.Series(
            (rng.random(count) < 0.6)
            & (kinds["email"] != "typo")
            & (kinds["email"] != "placeholder")
        ),
        "registered_at": moments(registered_at),
        "updated_at": moments(registered_at),
    }
    records.export("crm_members", registered_at, **row)
    records.identify("customer_id", row["member_id"], person, "own")
    for type_ in ("email", "loyalty_card", "login"):
        records.identify(type_, keys[type_].tolist(), person, kinds[type_])
    records.identify("phone", e164s(keys["phone"]), person, kinds["phone"])
    _update(records, rng, row, person, set_, registered_at, is_spoilt | is_former)
    return Registrations(
        person,
        set_,
        registered_at,
        keys["email"],
        keys["phone"],
        keys["login"],
        kinds["email"],
        kinds["phone"],
    )


def _spoil_keys(
    records: Records,
    rng: np.random.Generator,
    ids: pl.Series,
    keys: dict[str, np.ndarray],
    kinds: dict[str, np.ndarray],
) -> np.ndarray:
    """Put typing errors and placeholders into `keys` and `kinds`; return which rows were hit."""
    rates, count = records.plan.noise, len(ids)
    luck = rng.random(count)
    # In falling order: whoever registers at a till mistypes the phone, seldom the printed card.
    weights = {"email": 0.40, "phone": 0.35, "login": 0.13, "loyalty_card": 0.12}
    typos, columns = np.flatnonzero(luck < rates.key_typo), []
    for at in typos:
        present = [type_ for type_ in weights if keys[type_][at] is not None]
        shares = np.array([weights[type_] for type_ in present])
        type_ = present[int(rng.choice(len(present), p=shares / shares.sum()))]
        mistype = {"email": noise.mistype_email, "login": noise.mistype_word}.get(
            type_, noise.mistype_digits
        )
        keys[type_][at], kinds[type_][at] = mistype(rng, keys[type_][at]), "typo"
        columns.append(type_)
    records.spoilt("crm_members", ids.gather(typos), "key_typo", columns)

    fakes = np.flatnonzero((luck >= rates.key_typo) & (luck < rates.key_typo + rates.placeholder))
    columns = ["email" if x < 0.5 else "phone" for x in rng.random(len(fakes))]
    for at, type_ in zip(fakes, columns, strict=True):
        values = noise.PLACEHOLDER_EMAILS if type_ == "email" else noise.PLACEHOLDER_PHONES
        weights_ = 1 / np.arange(1, len(values) + 1)
        keys[type_][at] = values[int(rng.choice(len(values), p=weights_ / weights_.sum()))]
        kinds[type_][at] = "placeholder"
    records.spoilt("crm_members", ids.gather(fakes), "placeholder", columns)
    return luck < rates.key_typo + rates.placeholder


def _details(
    records: Records, rng: np.random.Generator, ids: pl.Series, person: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Name, birth date, address and postcode as the form received them."""
    people, rates = records.people, records.plan.noise
    name, misspelt = written_names(people, rng, person, rates)
    records.spoilt(
        "crm_members",
        ids.filter(pl.Series(misspelt)),
        "name_misspelt",
        ["name"] * int(misspelt.sum()),
    )
    address, postcode = written_addresses(people, rng, person, at, rates)
    birth = _written_dates(rng, people.born[person])
    lacks = rng.random(len(person)) < rates.detail_missing
    luck = rng.random(len(person))
    lacks_birth, lacks_address = lacks & (luck < 0.55), lacks & (luck >= 0.45)
    birth[lacks_birth], address[lacks_address], postcode[lacks_address] = None, None, None
    for column, mask in (("birth_date", lacks_birth), ("address", lacks_address)):
        records.spoilt(
            "crm_members", ids.filter(pl.Series(mask)), "detail_missing", [column] * int(mask.sum())
        )
    return name, birth, address, postcode


def written_names(
    people: People, rng: np.random.Generator, person: np.ndarray, rates: Noise
) -> tuple[np.ndarray, np.ndarray]:
    """Names as records hold them, and in which records they are misspelt."""
    usual = np.array([people.name(at) for at in range(len(people))], dtype=object)
    written, luck = usual[person], rng.random(len(person))
    misspelt = luck < rates.name_misspelt
    for at in np.flatnonzero(luck < rates.name_misspelt + rates.other_spelling):
        if misspelt[at]:
            written[at] = noise.misspell(rng, written[at])
        else:
            written[at] = noise.write_name(
                rng, people.surname[person[at]], people.given[person[at]]
            )
    return written, misspelt


def written_addresses(
    people: People, rng: np.random.Generator, person: np.ndarray, at: np.ndarray, rates: Noise
) -> tuple[np.ndarray, np.ndarray]:
    """Addresses and postcodes as records hold them at their moments."""
    home = people.household[person]
    has_moved = at >= people.moved_at[home]
    form = np.where(
        rng.random(len(person)) < rates.other_spelling, rng.integers(1, 4, len(person)), 0
    )
    address = np.empty(len(person), dtype=object)
    postcode = np.empty(len(person), dtype=object)
    for old, (forms, codes) in enumerate(
        ((people.new_addresses, people.new_postcodes), (people.addresses, people.postcodes))
    ):
        rows = np.flatnonzero(has_moved != bool(old))
        address[rows] = np.array(forms, dtype=object)[home[rows], form[rows]]
        postcode[rows] = np.array(codes, dtype=object)[home[rows]]
    return address, postcode


def _written_dates(rng: np.random.Generator, born: np.ndarray) -> np.ndarray:
    """Birth dates as text, in the forms that several generations of a CRM have stored."""
    luck = rng.random(len(born))
    iso = born.astype("datetime64[D]").astype(str)
    return np.array(
        [
            day if x < 0.90 else day.replace("-", ".") if x < 0.96 else day.replace("-", "")
            for day, x in zip(iso.tolist(), luck, strict=True)
        ],
        dtype=object,
    )


def _company_names(people: People, rng: np.random.Generator, person: np.ndarray) -> np.ndarray:
    company, told = people.company[person], rng.random(len(person)) < 0.8
    way = np.where(rng.random(len(person)) < 0.8, 0, rng.integers(1, 4, len(person)))
    names = np.full(len(person), None, dtype=object)
    for at in np.flatnonzero((company >= 0) & told):
        names[at] = people.companies[company[at]][0][way[at]]
    return names


def _update(
    records: Records,
    rng: np.random.Generator,
    row: dict[str, pl.Series],
    person: np.ndarray,
    set_: np.ndarray,
    registered_at: np.ndarray,
    is_left: np.ndarray,
) -> None:
    """Write newer versions of rows whose member reported a move or a new phone.

    Half of them do. Rows with a mistake in a key stay as they are: nobody has noticed it.
    """
    plan, people = records.plan, records.people
    changed_at = np.maximum(
        np.where(people.phone_changed_at[person] < np.inf, people.phone_changed_at[person], 0),
        np.where(
            people.moved_at[people.household[person]] < np.inf,
            people.moved_at[people.household[person]],
            0,
        ),
    )
    told_at = np.floor(changed_at + rng.random(len(person)) * 20 * DAY)
    reports = (
        (changed_at > registered_at)
        & (told_at < plan.end)
        & (rng.random(len(person)) < 0.5)
        & ~is_left
    )
    rows = np.flatnonzero(reports)
    at = told_at[rows]
    phone = people.phone_at(person[rows], set_[rows], at)
    phone = np.where(row["phone"].is_null().to_numpy()[rows], None, phone)
    address, postcode = written_addresses(people, rng, person[rows], at, records.plan.noise)
    address = np.where(row["address"].is_null().to_numpy()[rows], None, address)
    newer = {name: column.gather(rows) for name, column in row.items()} | {
        "phone": texts(contacts.write_phones(rng, phone.tolist())),
        "address": texts(address),
        "postcode": texts(np.where(known(address), postcode, None)),
        "updated_at": moments(at),
    }
    records.export("crm_members", at, **newer)
    records.identify(
        "phone", e164s(phone), person[rows], people.phone_kind[person[rows], set_[rows]]
    )


# (purpose, channel, key it is recorded under, share that agrees on registering)
_CONSENTS = (
    ("marketing", "email", "email", 0.70),
    ("marketing", "sms", "phone", 0.50),
    ("marketing", "push", "login", 0.40),
    ("profiling", "web", "login", 0.75),
)
_WITHDRAWN_A_YEAR = 0.08


def agree(
    records: Records, block: int, rng: np.random.Generator, registered: Registrations
) -> np.ndarray:
    """Write `consents`, with withdrawals; return until when each registration allows e-mail.

    Zero where it was never allowed. A consent is recorded under the key that the CRM had.
    """
    plan = records.plan
    email_until = np.zeros(len(registered.person))
    parts: list[dict[str, np.ndarray]] = []
    values = {"email": registered.email, "phone": registered.phone, "login": registered.login}
    for purpose, channel, key, share in _CONSENTS:
        has_key = known(values[key])
        rows = np.flatnonzero(has_key)
        granted = rng.random(len(rows)) < share
        since = np.maximum(registered.registered_at[rows], plan.start)
        left_at = np.floor(since + rng.exponential(YEAR / _WITHDRAWN_A_YEAR, len(rows)))
        withdrawn = granted & (left_at < plan.end)
        for mask, at, is_granted in (
            (np.ones(len(rows), dtype=bool), registered.registered_at[rows], granted),
            (withdrawn, left_at, np.zeros(len(rows), dtype=bool)),
        ):
            parts.append(
                {
                    "row": rows[mask],
                    "key": np.full(int(mask.sum()), key, dtype=object),
                    "purpose": np.full(int(mask.sum()), purpose, dtype=object),
                    "channel": np.full(int(mask.sum()), channel, dtype=object),
                    "granted": is_granted[mask],
                    "at": at[mask],
                }
            )
        if key == "email":
            email_until[rows[granted]] = np.where(withdrawn, left_at, plan.end)[granted]
    told = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    row = told["row"]
    ids = record_ids("K", block, len(row))
    person = registered.person[row]

    def under(key: str, values_: np.ndarray) -> list[str | None]:
        return np.where(told["key"] == key, values_[row], None).tolist()

    records.belongs("consents", ids, person)
    records.export(
        "consents",
        told["at"],
        consent_id=ids,
        email=texts(under("email", registered.email)),
        phone=texts(contacts.write_phones(rng, under("phone", registered.phone))),
        login=texts(under("login", registered.login)),
        purpose=texts(told["purpose"]),
        channel=texts(told["channel"]),
        is_granted=pl.Series(told["granted"].astype(bool)),
        occurred_at=moments(told["at"]),
    )
    return email_until
