"""What a block of people leaves behind: export rows, and beside them the truth about each.

Here belong collecting rows by entity and the small helpers that every module writing records
uses. No record is made here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import polars as pl

from simulator.company import contacts
from simulator.company.people import People
from simulator.company.plan import Plan

MONTH = "_month"
"""Helper column of a collected frame: index of the monthly file that a row belongs to."""


class Records:
    """Rows of one block, by entity for the exports and by table for the truth."""

    def __init__(self, plan: Plan, people: People):
        self.plan, self.people = plan, people
        self.exports: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self.truth: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._person_ids = pl.Series([f"P{n:08d}" for n in people.number.tolist()], dtype=pl.String)

    def export(self, entity: str, moments: np.ndarray, **columns: object) -> None:
        """Add rows of an entity; `moments` decide which month's file each goes to."""
        frame = pl.DataFrame(columns).with_columns(
            pl.Series(MONTH, self.plan.month_of(np.asarray(moments)), dtype=pl.Int32)
        )
        self.exports[entity].append(frame)

    def belongs(self, entity: str, record_ids: pl.Series, person: np.ndarray) -> None:
        """Say whose records these are."""
        self._tell(
            "records",
            entity=pl.repeat(f"demo.{entity}", len(person), eager=True),
            record_id=record_ids,
            person_id=self.person_ids(person),
        )

    def identify(
        self, type_: str, values: Sequence[str | None], person: np.ndarray, kind: object
    ) -> None:
        """Say whose identifiers these are, in their normal form; None is passed over.

        `kind`: own, shared, mailbox, kiosk, recycled, placeholder or typo; one for all or one each.
        """
        frame = pl.DataFrame(
            {
                "identifier_type": pl.repeat(type_, len(person), eager=True),
                "value": pl.Series(values, dtype=pl.String),
                "person_id": self.person_ids(person),
                "kind": pl.repeat(kind, len(person), eager=True)
                if isinstance(kind, str)
                else pl.Series(kind, dtype=pl.String),
            }
        )
        self.truth["identifiers"].append(frame.drop_nulls("value").unique(maintain_order=True))

    def spoilt(
        self, entity: str, record_ids: pl.Series, noise: str, columns: Sequence[str] | None = None
    ) -> None:
        """Say which records carry which noise, and in which column."""
        self._tell(
            "noise",
            entity=pl.repeat(f"demo.{entity}", len(record_ids), eager=True),
            record_id=record_ids,
            noise=pl.repeat(noise, len(record_ids), eager=True),
            column=pl.Series(
                columns if columns is not None else [None] * len(record_ids), dtype=pl.String
            ),
        )

    def felt(
        self,
        entity: str,
        record_ids: pl.Series,
        person: np.ndarray,
        mood: np.ndarray,
        language: list[str],
    ) -> None:
        """Say in which mood a text was written: negative, neutral or positive."""
        words = pl.Series(["negative", "neutral", "positive"]).gather(pl.Series(mood + 1))
        self._tell(
            "moods",
            entity=pl.repeat(f"demo.{entity}", len(person), eager=True),
            record_id=record_ids,
            person_id=self.person_ids(person),
            mood=words,
            language=pl.Series(language, dtype=pl.String),
        )

    def person_ids(self, person: np.ndarray) -> pl.Series:
        """True ids of people given by their place in the block."""
        return self._person_ids.gather(pl.Series(person, dtype=pl.UInt32))

    def _tell(self, table: str, **columns: pl.Series) -> None:
        self.truth[table].append(pl.DataFrame(columns))


def record_ids(prefix: str, block: int, count: int) -> pl.Series:
    """Natural ids of a block's records: ten million a block, unique over all of them."""
    numbers = pl.Series(block * 10_000_000 + np.arange(count))
    return pl.Series([prefix]).gather(pl.repeat(0, count, eager=True)) + numbers.cast(
        pl.String
    ).str.zfill(11)


def texts(values: np.ndarray | list) -> pl.Series:
    """Text column from an array of text and None."""
    return pl.Series(values.tolist() if isinstance(values, np.ndarray) else values, dtype=pl.String)


def picked(values: pl.Series, index: np.ndarray) -> pl.Series:
    """Values at an index; null where it is negative."""
    at = pl.Series(index, dtype=pl.Int64)
    return values.gather(at.set(at < 0, None).cast(pl.UInt32))


def moments(seconds: np.ndarray) -> pl.Series:
    """Timestamp column, without a zone, from seconds of the local wall clock."""
    return pl.Series(np.asarray(seconds, dtype=np.int64) * 1_000_000).cast(pl.Datetime("us"))


def known(values: np.ndarray | list) -> np.ndarray:
    """Where values are not None."""
    return np.not_equal(np.asarray(values, dtype=object), None).astype(bool)


def e164s(digits: np.ndarray | list) -> list[str | None]:
    """Normal forms of phones given by eight digits."""
    return [None if d is None else contacts.e164(d) for d in digits]
