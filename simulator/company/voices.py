"""What people say: to the help desk, in reviews and in surveys.

Here belongs who says something, when, in which mood and under which identifier. The sentences are
in `text`.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.company import contacts
from simulator.company.people import YEAR, People
from simulator.company.plan import DAY
from simulator.company.purchases import Checkouts, Orders
from simulator.company.records import Records, e164s, known, moments, record_ids, texts
from simulator.company.text import write_texts

_CONVERSATIONS_A_YEAR, _SURVEYS_A_YEAR, _REVIEW_SHARE = 0.15, 0.20, 0.12


def speak(
    records: Records, block: int, orders: Orders, checkouts: Checkouts, rng: np.random.Generator
) -> None:
    """Write `support_conversations`, `reviews` and `survey_answers`, with their moods."""
    _converse(records, block, rng)
    _review(records, block, orders, checkouts, rng)
    _answer(records, block, rng)


def _feel(people: People, rng: np.random.Generator, person: np.ndarray, shift: float) -> np.ndarray:
    """Mood of a moment, −1, 0 or 1: a person's own disposition and the day's luck."""
    felt = people.mood[person] + shift + rng.normal(0, 0.6, len(person))
    return np.where(felt < -0.25, -1, np.where(felt > 0.35, 1, 0))


def _languages(people: People, rng: np.random.Generator, person: np.ndarray) -> list[str]:
    latin = np.array([s.isascii() or "ü" in s for s in people.surname])[person]
    return np.where(rng.random(len(person)) < np.where(latin, 0.85, 0.03), "en", "ko").tolist()


def _occasions(
    records: Records, rng: np.random.Generator, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """People and moments, at a yearly rate while they are customers."""
    plan, people = records.plan, records.people
    begin, end = np.maximum(people.acquired_at, plan.start), np.minimum(people.churned_at, plan.end)
    span = np.maximum(end - begin, 0)
    person = np.repeat(np.arange(len(people)), rng.poisson(rate * span / YEAR))
    return person, np.floor(begin[person] + rng.random(len(person)) * span[person])


def _converse(records: Records, block: int, rng: np.random.Generator) -> None:
    people = records.people
    person, at = _occasions(records, rng, _CONVERSATIONS_A_YEAR)
    count = len(person)
    set_ = people.set_at(person, at, rng.random(count))
    way = rng.random(count)
    email = np.where(way < 0.60, people.email[person, set_], None)
    phone = np.where(way >= 0.45, people.phone_at(person, set_, at), None)
    mood, language = _feel(people, rng, person, -0.4), _languages(people, rng, person)
    ids = record_ids("S", block, count)
    records.belongs("support_conversations", ids, person)
    records.felt("support_conversations", ids, person, mood, language)
    records.identify("email", email.tolist(), person, people.email_kind[person, set_])
    records.identify("phone", e164s(phone), person, people.phone_kind[person, set_])
    records.export(
        "support_conversations",
        at,
        conversation_id=ids,
        email=texts(contacts.write_emails(rng, email.tolist())),
        phone=texts(contacts.write_phones(rng, phone.tolist())),
        channel=texts(
            np.where(way < 0.45, "email", np.where(way < 0.60, "chat", "phone")).astype(object)
        ),
        language=texts(language),
        message=texts(
            write_texts(rng, "support", mood, language, [people.name(p) for p in person])
        ),
        opened_at=moments(at),
    )


def _review(
    records: Records, block: int, orders: Orders, checkouts: Checkouts, rng: np.random.Generator
) -> None:
    """Reviews need a login: those who were logged in when they ordered write them."""
    people, plan = records.people, records.plan
    web = np.flatnonzero(orders.is_web)
    at = orders.at[web] + np.floor((2 + rng.exponential(6, len(web))) * DAY)
    has_login = known(checkouts.login)
    kept = np.flatnonzero(has_login & (rng.random(len(web)) < _REVIEW_SHARE) & (at < plan.end))
    person, at = orders.person[web][kept], at[kept]
    mood, language = _feel(people, rng, person, 0.15), _languages(people, rng, person)
    stars = np.choose(mood + 1, [1, 3, 4]) + (rng.random(len(kept)) < 0.6) * np.where(
        mood == 0, 0, 1
    )
    ids = record_ids("V", block, len(kept))
    login = [checkouts.login[i] for i in kept.tolist()]
    records.belongs("reviews", ids, person)
    records.felt("reviews", ids, person, mood, language)
    records.identify("login", login, person, "own")
    records.export(
        "reviews",
        at,
        review_id=ids,
        login=texts(login),
        product_id=pl.Series(orders.first_product[web][kept]).cast(pl.Int64),
        rating=pl.Series(stars, dtype=pl.Int32),
        language=texts(language),
        review_text=texts(write_texts(rng, "review", mood, language, [""] * len(kept))),
        written_at=moments(at),
    )


def _answer(records: Records, block: int, rng: np.random.Generator) -> None:
    """Net promoter score: nought to ten, lower on a bad day."""
    people = records.people
    person, at = _occasions(records, rng, _SURVEYS_A_YEAR)
    set_ = people.set_at(person, at, rng.random(len(person)))
    email = people.email[person, set_]
    mood = _feel(people, rng, person, 0.0)
    score = np.clip(np.round(7 + 2.2 * mood + rng.normal(0, 1.3, len(person))), 0, 10)
    ids = record_ids("N", block, len(person))
    records.belongs("survey_answers", ids, person)
    records.felt("survey_answers", ids, person, mood, ["none"] * len(person))
    records.identify("email", email.tolist(), person, people.email_kind[person, set_])
    records.export(
        "survey_answers",
        at,
        answer_id=ids,
        email=texts(contacts.write_emails(rng, email.tolist())),
        nps_score=pl.Series(score, dtype=pl.Int32),
        answered_at=moments(at),
    )
