"""The season of value: how unusual each period was, and how far a year repeats itself.

Here belong the levels of past snapshots, bringing training rows to the usual one, and the factor
for the period ahead. A level is what customers brought in over what the floor expected of them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

YEAR_DAYS = 364  # whole weeks, so that a window has the same weekdays as a year ago
NEAREST_DAYS = 14
# Among newcomers alone the level only tells how young the company was.
LEAST_HISTORY_DAYS = 182
# Before any year was seen to repeat: half of it does, which four pairs of years with an ordinary
# change would outweigh. One year is little evidence.
PRIOR_SHARE, PRIOR_PAIRS, ORDINARY_CHANGE = 0.5, 4, 0.2
MOST_FACTOR = 3.0


@dataclass(frozen=True)
class Season:
    """By snapshot, the logarithm of its level over the usual one, as far as it is no noise.

    `repeat_share` is how much of an unusual period comes back a year later.
    """

    days: tuple[str, ...]
    unusual: tuple[float, ...]
    has_history: tuple[bool, ...]
    repeat_share: float

    @classmethod
    def fit(cls, train: pl.DataFrame) -> Season:
        """Learn from labelled rows with their floor."""
        value = pl.col("actual_value_amount").clip(0)
        levels = (
            train.group_by("as_of_date")
            .agg(
                change=value.sum().log() - pl.col("floor_value_amount").sum().log(),
                noise=(value**2).sum() / value.sum() ** 2,
                has_history=pl.col("tenure_days").max() >= LEAST_HISTORY_DAYS,
            )
            .filter(pl.col("change").is_finite())
            .sort("as_of_date")
        )
        change = levels["change"].to_numpy()
        change = change - (change.mean() if len(change) else 0.0)
        # Of each change the share that its variance leaves unexplained.
        real = change * change**2 / np.maximum(change**2 + levels["noise"].to_numpy(), 1e-300)
        season = cls(
            tuple(str(day) for day in levels["as_of_date"]),
            tuple(real.tolist()),
            tuple(levels["has_history"].to_list()),
            PRIOR_SHARE,
        )
        added = PRIOR_PAIRS * ORDINARY_CHANGE**2
        together, alone = PRIOR_SHARE * added, added
        for day, now in zip(levels["as_of_date"], real, strict=True):
            ago = season.year_ago(day)
            together += ago * now
            alone += ago**2
        share = float(np.clip(together / alone, 0.0, 1.0))
        return cls(season.days, season.unusual, season.has_history, share)

    def year_ago(self, as_of_date: dt.date) -> float:
        """Return how unusual the period was a year before; 0 where that is not known."""
        wanted = as_of_date - dt.timedelta(YEAR_DAYS)
        known = [
            (abs((dt.date.fromisoformat(day) - wanted).days), unusual)
            for day, unusual, has_history in zip(
                self.days, self.unusual, self.has_history, strict=True
            )
            if has_history
        ]
        distance, unusual = min(known, default=(NEAREST_DAYS + 1, 0.0))
        return unusual if distance <= NEAREST_DAYS else 0.0

    def factor(self, as_of_date: dt.date) -> float:
        """Return the factor for the period after `as_of_date`; 1 where a year ago says nothing."""
        most = np.log(MOST_FACTOR)
        return float(np.exp(np.clip(self.repeat_share * self.year_ago(as_of_date), -most, most)))

    def to_usual(self, as_of_dates: pl.Series) -> np.ndarray:
        """Return for each training row the factor that brings its value to the usual level.

        A good December lifts all customers of a snapshot. Learners can tell snapshots apart by
        tenure and the like, and would take the month for something about its customers.
        """
        factors = {
            dt.date.fromisoformat(day): float(np.exp(-unusual))
            for day, unusual in zip(self.days, self.unusual, strict=True)
        }
        return np.array([factors.get(day, 1.0) for day in as_of_dates.to_list()])
