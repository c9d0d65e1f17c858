"""What the company sends: e-mails and push messages, and how people answer to them.

Here belong `email_events` and `push_events`. Who agreed to be written to is decided in `crm`.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.company.catalogue import Catalogue
from simulator.company.clicks import Tokens
from simulator.company.crm import Registrations
from simulator.company.people import People
from simulator.company.plan import DAY
from simulator.company.records import Records, known, moments, picked, texts

_REACH = 0.6
_EVENTS = pl.Series(["sent", "bounced", "opened", "clicked"], dtype=pl.String)


def send_mails(
    records: Records,
    catalogue: Catalogue,
    rng: np.random.Generator,
    registered: Registrations,
    email_until: np.ndarray,
) -> None:
    """Write `email_events`: wrong addresses bounce, who has left opens no more."""
    people = records.people
    has_email = known(registered.email)
    is_wrong = np.isin(registered.email_kind.astype(str), ["typo", "placeholder"])
    addresses, taste = texts(registered.email), _taste(people, rng)
    for number, begun_at in _campaigns(catalogue, "email"):
        agreed = has_email & (email_until > begun_at) & (registered.registered_at < begun_at)
        sent = np.flatnonzero(agreed & (rng.random(len(agreed)) < _REACH))
        person = registered.person[sent]
        bounces = is_wrong[sent] & (rng.random(len(sent)) < 0.9)
        event, row, at = _reactions(
            records, rng, person, begun_at, 0.32 * taste[person] * ~bounces, bounces
        )
        ids = records.people.number[person] * 2 + registered.set_[sent]
        records.export(
            "email_events",
            at,
            message_id=pl.Series([f"{number}-{i}" for i in ids[row].tolist()], dtype=pl.String),
            event=picked(_EVENTS, event),
            email=picked(addresses, sent[row]),
            campaign_id=pl.repeat(number, len(row), eager=True, dtype=pl.Int64),
            occurred_at=moments(at),
        )


def send_pushes(
    records: Records, block: int, catalogue: Catalogue, rng: np.random.Generator, devices: Tokens
) -> None:
    """Write `push_events`, one message a device and campaign."""
    people, taste = records.people, _taste(records.people, rng)
    person = devices.owner
    for number, begun_at in _campaigns(catalogue, "push"):
        is_there = (people.acquired_at[person] < begun_at) & (rng.random(len(person)) < _REACH)
        sent = np.flatnonzero(is_there)
        nothing = np.zeros(len(sent), dtype=bool)
        event, row, at = _reactions(
            records, rng, person[sent], begun_at, 0.12 * taste[person[sent]], nothing
        )
        records.export(
            "push_events",
            at,
            message_id=pl.Series(
                [f"{number}-{block}-{i}" for i in sent[row].tolist()], dtype=pl.String
            ),
            event=picked(_EVENTS, event),
            device=picked(devices.token, sent[row]),
            campaign_id=pl.repeat(number, len(row), eager=True, dtype=pl.Int64),
            occurred_at=moments(at),
        )


def _campaigns(catalogue: Catalogue, channel: str) -> list[tuple[int, int]]:
    sent = (catalogue.campaigns["channel"] == channel).to_numpy()
    numbers = catalogue.campaigns["campaign_id"].to_numpy()
    return [(int(numbers[at]), int(catalogue.campaign_at[at])) for at in np.flatnonzero(sent)]


def _taste(people: People, rng: np.random.Generator) -> np.ndarray:
    """How readily people open what is sent to them, one on average."""
    return np.minimum(rng.gamma(2, 0.5, len(people)), 3)


def _reactions(
    records: Records,
    rng: np.random.Generator,
    person: np.ndarray,
    begun_at: int,
    opens: np.ndarray,
    bounces: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Event (0 sent, 1 bounced, 2 opened, 3 clicked), row of the message, and moment."""
    people, plan = records.people, records.plan
    sent_at = begun_at + rng.integers(0, 1800, len(person))
    opened_at = np.floor(sent_at + 60 + rng.exponential(8 * 3600, len(person)))
    stays = (people.churned_at[person] > opened_at) & (opened_at < plan.end - DAY / 24)
    opened = (rng.random(len(person)) < opens) & stays
    clicked = opened & (rng.random(len(person)) < 0.2)
    parts = (
        (0, np.ones(len(person), dtype=bool), sent_at),
        (1, bounces, sent_at + 5),
        (2, opened, opened_at),
        (3, clicked, opened_at + 20),
    )
    event = np.concatenate([np.full(int(mask.sum()), code) for code, mask, _ in parts])
    row = np.concatenate([np.flatnonzero(mask) for _, mask, _ in parts])
    return event, row, np.concatenate([at[mask] for _, mask, at in parts])
