"""Who was in which segment on any day, kept as intervals.

Belongs here: adding a day to the history and asking it for a day. Does not belong here: who is a
member today (`membership.py`), nor where the history is stored.

Intervals alone cannot tell which days were recorded: on a day when nobody moves they do not
change. So the recorded days are a second small table beside them, and the two are kept together.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

import polars as pl

_KEY = ["segment_id", "customer_id"]
INTERVALS = pl.Schema(
    {
        "segment_id": pl.String,
        "customer_id": pl.String,
        "valid_from": pl.Date,
        "valid_to": pl.Date,
    }
)
RECORDED_DAYS = pl.Schema({"as_of_date": pl.Date})

Outcome = Literal["recorded", "replaced", "unchanged", "older_than_newest_day"]


@dataclass(frozen=True)
class History:
    """The two tables of the history.

    intervals: one row per segment, customer and stay; `valid_to` is exclusive, null while it
    lasts. recorded_days: one row per day whose membership was recorded.
    """

    intervals: pl.DataFrame
    recorded_days: pl.DataFrame

    @classmethod
    def empty(cls) -> "History":
        """Give the history before the first day."""
        return cls(pl.DataFrame(schema=INTERVALS), pl.DataFrame(schema=RECORDED_DAYS))

    @property
    def newest_day(self) -> date | None:
        """The last recorded day, None when there is none."""
        return self.recorded_days["as_of_date"].max()

    def knows(self, day: date) -> bool:
        """Whether membership in force on that day is known (a day between two recorded ones is)."""
        days = self.recorded_days["as_of_date"]
        return days.len() > 0 and days.min() <= day <= days.max()


class Advance(NamedTuple):
    """The history after a day, and what happened to it."""

    history: History
    outcome: Outcome


def advance(history: History, membership: pl.DataFrame, as_of_date: date) -> Advance:
    """Record the membership of a day, one row per (segment_id, customer_id).

    The same day again with the same members changes nothing; with other members it replaces that
    day. A day before the newest recorded one is refused: the history is returned as it is, with
    the outcome `older_than_newest_day`, because later days were built on it.
    """
    newest = history.newest_day
    if newest is not None and as_of_date < newest:
        return Advance(history, "older_than_newest_day")
    members = membership.select(_KEY)
    if as_of_date == newest:
        today = members_on(history, as_of_date)
        if today.height == members.height and members.join(today, on=_KEY, how="anti").is_empty():
            return Advance(history, "unchanged")
        intervals = _before(history.intervals, as_of_date)
    else:
        intervals = history.intervals
    is_open = pl.col("valid_to").is_null()
    open_, closed = intervals.filter(is_open), intervals.filter(~is_open)
    staying = open_.join(members, on=_KEY, how="semi")
    left = open_.join(members, on=_KEY, how="anti").with_columns(valid_to=pl.lit(as_of_date))
    joined = members.join(open_, on=_KEY, how="anti").with_columns(
        valid_from=pl.lit(as_of_date), valid_to=pl.lit(None, dtype=pl.Date)
    )
    recorded = pl.DataFrame({"as_of_date": [as_of_date]}, schema=RECORDED_DAYS)
    days = pl.concat([history.recorded_days, recorded]).unique().sort("as_of_date")
    intervals = pl.concat([closed, left, staying, joined]).cast(INTERVALS)
    return Advance(History(intervals, days), "replaced" if as_of_date == newest else "recorded")


def members_on(history: History, day: date) -> pl.DataFrame:
    """One row per segment and member in force on the day: (segment_id, customer_id).

    A day between two recorded ones answers with the earlier of them; before the first recorded
    day there is nobody, after the newest its members still hold.
    """
    in_force = (pl.col("valid_from") <= day) & (
        pl.col("valid_to").is_null() | (pl.col("valid_to") > day)
    )
    return history.intervals.filter(in_force).select(_KEY)


def moves_on(history: History, day: date) -> pl.DataFrame:
    """One row per segment and customer that changed on the day: (…, move: entered | left)."""
    entered, left = (pl.col(column) == day for column in ("valid_from", "valid_to"))
    return (
        history.intervals.filter(entered | left)
        .select(*_KEY, move=pl.when(entered).then(pl.lit("entered")).otherwise(pl.lit("left")))
        .sort(*_KEY)
    )


def _before(intervals: pl.DataFrame, day: date) -> pl.DataFrame:
    """Undo the newest day: who entered on it never did, who left on it is still there."""
    return intervals.filter(pl.col("valid_from") < day).with_columns(
        valid_to=pl.when(pl.col("valid_to") < day).then("valid_to")
    )
