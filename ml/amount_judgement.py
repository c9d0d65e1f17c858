"""How good expected amounts are: who is worth most, how much each, how much all together.

Here belong the measures, made for the intervals and paired gains of `ml.judgement`, and the table
behind the chart of tenths. No mean absolute error: where most buy nothing, the best one is had by
expecting nothing of anybody.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import polars.selectors as cs

TOP_SHARE = 0.1


class RankedAmounts:
    """Amounts sorted once, so that a draw of customers is a weighting of the same order.

    Between two models the squared error decides, as for probabilities, and no ranking may suffer.
    """

    measures = ("spearman", "rmse", "total_ratio", "top_decile_share")
    lower_is_better = frozenset({"rmse"})
    criterion, not_worse = "rmse", ("spearman", "top_decile_share")

    def __init__(self, outcome: np.ndarray, score: np.ndarray) -> None:
        self.outcome, self.score = np.asarray(outcome, float), np.asarray(score, float)
        self.ranks = [_Ranks(self.score), _Ranks(self.outcome)]
        self.order = np.argsort(-self.score, kind="stable")

    def measure(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Return each measure for each row of `times`, the weights of the rows as they came.

        `total_ratio` is what was expected over what came; `top_decile_share` what share came from
        the tenth of whom most was expected.
        """
        size = times.sum(axis=1, keepdims=True)
        said, came = (ranks.of(times) - size / 2 for ranks in self.ranks)
        total = times @ self.outcome
        first = times[:, self.order]
        # Customers of the first tenth, the last of them in part.
        before = np.cumsum(first, axis=1) - first
        share = np.clip(TOP_SHARE * size - before, 0, first)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt((times * said**2).sum(axis=1) * (times * came**2).sum(axis=1))
            return {
                # Equal predictions rank nobody, which is as good as chance.
                "spearman": np.where(spread > 0, (times * said * came).sum(axis=1) / spread, 0.0),
                "rmse": np.sqrt(times @ (self.outcome - self.score) ** 2 / size[:, 0]),
                "total_ratio": times @ self.score / np.where(total > 0, total, np.nan),
                "top_decile_share": share
                @ self.outcome[self.order]
                / np.where(total > 0, total, np.nan),
            }


class _Ranks:
    """Ranks under any weighting, equal values sharing the middle, without sorting again."""

    def __init__(self, values: np.ndarray) -> None:
        self.order = np.argsort(values, kind="stable")
        ordered = values[self.order]
        self.starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self.place = np.unique(values, return_inverse=True)[1]

    def of(self, times: np.ndarray) -> np.ndarray:
        at = np.add.reduceat(times[:, self.order], self.starts, axis=1)
        return (np.cumsum(at, axis=1) - at / 2)[:, self.place]


def tenths(score: np.ndarray) -> np.ndarray:
    """Return the tenth of each row, 1 for those of whom most is expected."""
    place = pl.Series(-score).rank("ordinal").to_numpy() - 1
    return place * 10 // max(len(score), 1) + 1


def tenths_table(outcome: np.ndarray, score: np.ndarray) -> pl.DataFrame:
    """Return one row per tenth: what was expected of its customers and what came, on average."""
    return (
        pl.DataFrame({"decile": tenths(score), "outcome": outcome, "score": score})
        .group_by("decile")
        .agg(
            customer_count=pl.len().cast(pl.Int64),
            mean_expected_amount=pl.col("score").mean(),
            mean_actual_amount=pl.col("outcome").mean(),
            actual_share=pl.col("outcome").sum() / max(outcome.sum(), 1e-9),
        )
        .sort("decile")
        .with_columns(pl.col("decile").cast(pl.Int64), cs.float().round(6))
    )
