"""How good scores are, and how sure that is.

Here belong the measures of a yes or no, intervals by bootstrap over customers, paired gains of one
score over another, a plain rival to judge beside, and the tables behind lift curves and reliability
diagrams. Measures of amounts are in `ml.amount_judgement`; which rows are judged and what is
compared belong to the models.

A customer may be judged at several cut-offs. It is drawn with all of its rows or not at all, since
its rows resemble each other; and all scores are judged on the same draw, since only then the noise
that they share falls out of their difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import polars as pl
import polars.selectors as cs

from ml.threads import one_thread

MEASURES = ("roc_auc", "pr_auc", "brier")
LOWER_IS_BETTER = frozenset({"brier"})
DRAWS = 400
LEVEL = 0.95
MOST_CELLS = 40_000_000
CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class CutOff:
    """One row per customer: what happened, and what each score had said of it."""

    customers: pl.Series
    outcome: np.ndarray
    scores: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Figure:
    """A figure and the interval it lies in at the level asked for."""

    value: float
    low: float
    high: float

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole interval is: noise alone would not show this."""
        return self.low > 0

    @property
    def is_below_zero(self) -> bool:
        """Whether the whole interval is."""
        return self.high < 0


@dataclass(frozen=True)
class Judgement:
    """Figures by score and measure, and gains of the first score over each other one.

    A gain is above zero when the first score is better, whichever way the measure goes.
    """

    figures: dict[str, dict[str, Figure]]
    gains: dict[str, dict[str, Figure]]

    def values(self) -> dict[str, dict[str, float]]:
        """Return the figures alone, by score and measure."""
        return {
            name: {measure: one.value for measure, one in figures.items()}
            for name, figures in self.figures.items()
        }

    def with_intervals(self) -> dict[str, dict[str, dict[str, list[float]]]]:
        """Return figures and gains as [value, low, high], for the metrics of a run."""
        return {
            key: {
                name: {measure: [one.value, one.low, one.high] for measure, one in figures.items()}
                for name, figures in table.items()
            }
            for key, table in (("intervals", self.figures), ("gain_over", self.gains))
        }


def judge(outcome: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """Return discrimination (ROC-AUC, PR-AUC) and accuracy of the probability (Brier)."""
    once = RankedOutcomes(outcome, score).measure(np.ones((1, len(outcome))))
    return {name: float(values[0]) for name, values in once.items()}


def logistic_rival(train: np.ndarray, outcome: np.ndarray, holdout: np.ndarray) -> np.ndarray:
    """Return what a plain logistic of a few columns says of the holdout: a baseline to beat."""
    from sklearn.linear_model import LogisticRegression

    with one_thread():
        fitted = LogisticRegression(C=1e6, max_iter=1000).fit(train, outcome)
        return fitted.predict_proba(holdout)[:, 1]


def judge_cut_offs(
    cut_offs: Sequence[CutOff],
    *,
    seed: int,
    level: float = LEVEL,
    draws: int = DRAWS,
    kind: type | None = None,
) -> tuple[list[Judgement], Judgement]:
    """Return the judgement of each cut-off and that of their mean.

    `kind` has the measures, as `RankedOutcomes` has those of a yes or no and `ml.amount_judgement`
    those of an amount.
    """
    kind = kind or RankedOutcomes
    names = list(cut_offs[0].scores)
    everyone = pl.concat([cut_off.customers for cut_off in cut_offs]).unique().sort()
    places = [
        pl.DataFrame({"c": cut_off.customers})
        .join(pl.DataFrame({"c": everyone}).with_row_index("place"), on="c", how="left")["place"]
        .to_numpy()
        for cut_off in cut_offs
    ]
    ranked = [
        {name: kind(cut_off.outcome, cut_off.scores[name]) for name in names}
        for cut_off in cut_offs
    ]
    cells = max(sum(len(place) for place in places) * len(names), 1)
    draws = int(min(draws, max(MOST_CELLS // cells, 100)))
    at_once = max(CELLS_AT_ONCE // len(everyone), 1)
    # The first "draw" is the sample as it is.
    parts = [
        np.array(
            [
                [list(table[name].measure(times[:, place]).values()) for name in names]
                for table, place in zip(ranked, places, strict=True)
            ]
        )
        for times in chain(
            [np.ones((1, len(everyone)))], _draws(len(everyone), draws, at_once, seed)
        )
    ]
    values = np.concatenate(parts, axis=3)  # cut-off, score, measure, draw
    each = [_judgement(one, names, level, kind) for one in values]
    return each, _judgement(values.mean(axis=0), names, level, kind)


def _judgement(values: np.ndarray, names: Sequence[str], level: float, kind: type) -> Judgement:
    figures = {
        name: {m: _figure(values[i, j], level) for j, m in enumerate(kind.measures)}
        for i, name in enumerate(names)
    }
    gains = {
        name: {
            m: _figure(
                (values[0, j] - values[i, j]) * (-1 if m in kind.lower_is_better else 1), level
            )
            for j, m in enumerate(kind.measures)
        }
        for i, name in enumerate(names)
        if i
    }
    return Judgement(figures, gains)


def _figure(values: np.ndarray, level: float) -> Figure:
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return Figure(float(values[0]), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Figure(float(values[0]), float(low), float(high))


def _draws(customers: int, draws: int, at_once: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each customer is drawn, some draws at a time."""
    random = np.random.default_rng(seed)
    for begin in range(0, draws, at_once):
        yield np.stack(
            [
                np.bincount(random.integers(customers, size=customers), minlength=customers)
                for _ in range(min(at_once, draws - begin))
            ]
        ).astype(np.float64)


class RankedOutcomes:
    """Scores sorted once, so that a draw of customers is a weighting of the same order.

    Between two models the squared error of the probability decides, which both better ranking and
    better calibration lower; no ranking measure may suffer.
    """

    measures, lower_is_better = MEASURES, LOWER_IS_BETTER
    criterion, not_worse = "brier", ("roc_auc", "pr_auc")

    def __init__(self, outcome: np.ndarray, score: np.ndarray) -> None:
        self.order = np.argsort(-score, kind="stable")
        self.outcome = np.asarray(outcome, dtype=np.float64)[self.order]
        ranked = score[self.order]
        # Equal scores are one step of the curves, whatever their order.
        self.starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        self.squares = (ranked - self.outcome) ** 2

    def measure(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Return each measure for each row of `times`, the weights of the rows as they came."""
        times = times[:, self.order]
        weight = np.add.reduceat(times, self.starts, axis=1)
        hits = np.add.reduceat(times * self.outcome, self.starts, axis=1)
        hits_so_far, so_far = np.cumsum(hits, axis=1), np.cumsum(weight, axis=1)
        all_hits, everyone = hits_so_far[:, -1], so_far[:, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            below = ((weight - hits) * (hits_so_far - hits / 2)).sum(axis=1)
            precision = np.where(so_far > 0, hits_so_far / so_far, 0)
            return {
                "roc_auc": below / (all_hits * (everyone - all_hits)),
                "pr_auc": (hits * precision).sum(axis=1) / all_hits,
                "brier": (times @ self.squares) / everyone,
            }


def lift_table(outcome: np.ndarray, score: np.ndarray) -> pl.DataFrame:
    """Return one row per tenth of the rows, the highest score first: what happened in each."""
    place = pl.Series(-score).rank("ordinal").to_numpy() - 1
    return (
        pl.DataFrame({"decile": place * 10 // len(score) + 1, "y": outcome, "score": score})
        .group_by("decile")
        .agg(
            row_count=pl.len().cast(pl.Int64),
            event_count=pl.col("y").sum(),
            event_share=pl.col("y").mean(),
            mean_score=pl.col("score").mean(),
        )
        .sort("decile")
        .with_columns(
            pl.col("decile").cast(pl.Int64),
            pl.col("event_count").cast(pl.Int64),
            lift=pl.col("event_share") / outcome.mean(),
            captured_share=pl.col("event_count").cum_sum() / outcome.sum(),
        )
        .with_columns(cs.float().round(6))
    )


def calibration_table(outcome: np.ndarray, score: np.ndarray, bins: int = 10) -> pl.DataFrame:
    """Return one row per band of score: what was said beside what happened."""
    band = np.minimum((score * bins).astype(int), bins - 1)
    return (
        pl.DataFrame({"band": band, "y": outcome, "score": score})
        .group_by("band")
        .agg(
            row_count=pl.len().cast(pl.Int64),
            mean_score=pl.col("score").mean(),
            event_share=pl.col("y").mean(),
        )
        .sort("band")
        .select(
            score_from=pl.col("band") / bins,
            score_to=(pl.col("band") + 1) / bins,
            row_count="row_count",
            mean_score="mean_score",
            event_share="event_share",
        )
        .with_columns(cs.float().round(6))
    )
