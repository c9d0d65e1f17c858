"""Cluster first, then predict inside a cluster, where that is better.

Here belong a coarse segmentation by recency, frequency, value and tenure that holds for any day, a
pair of learners for each segment, and the proof that a segment must give before its own pair may
serve it. With it, all customers together must be ranked better and have a smaller squared error
than with the common pair, over two cut-offs that neither has seen, by more than noise. Within the
segment and at one cut-off is too little: a pair of its own may fit its segment a trifle better, and
put it in the wrong place among the others. The customer segments that people see are
`ml.clustering`'s.

The segments are fitted on training rows only and kept as centroids: today's segments applied to
last spring would know who came back since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from ml.averaged_pair import AveragedPair, PairSettings
from ml.errors import CustomersAlike
from ml.judgement import CutOff, judge_cut_offs
from ml.threads import one_thread

SEGMENT_FEATURES = ("recency_days", "order_count_365d", "spend_amount_365d", "tenure_days")
MOST_ROWS = 20_000
CUT_OFFS = 2
PROOF = ("brier", "roc_auc")


@dataclass(frozen=True)
class Segmentation:
    """Centroids over standardised features; a row belongs to the nearest."""

    names: tuple[str, ...]
    means: np.ndarray
    scales: np.ndarray
    centroids: np.ndarray

    @classmethod
    def fit(
        cls, matrix: np.ndarray, names: Sequence[str], count: int, seed: int
    ) -> Segmentation | None:
        """Return `count` segments, or None when the rows do not fall into as many."""
        from sklearn.cluster import KMeans

        used = tuple(name for name in SEGMENT_FEATURES if name in names)
        if not used or count < 2:
            return None
        rows = matrix[:, [names.index(name) for name in used]]
        if len(rows) > MOST_ROWS:
            chosen = np.random.default_rng(seed).choice(len(rows), MOST_ROWS, replace=False)
            rows = rows[np.sort(chosen)]
        means, scales = rows.mean(axis=0), rows.std(axis=0)
        scales[scales == 0] = 1.0
        standard = (rows - means) / scales
        if len(np.unique(standard.round(9), axis=0)) < count:
            return None
        with one_thread():
            fitted = KMeans(count, n_init=3, random_state=seed).fit(standard)
        # By recency, so that a segment's number says something.
        order = np.argsort(fitted.cluster_centers_[:, 0], kind="stable")
        return cls(used, means, scales, fitted.cluster_centers_[order])

    def of(self, matrix: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return the number of every row's segment."""
        rows = matrix[:, [names.index(name) for name in self.names]]
        standard = (rows - self.means) / self.scales
        distances = ((standard[:, None, :] - self.centroids[None]) ** 2).sum(axis=2)
        return distances.argmin(axis=1)

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {
            "names": list(self.names),
            "means": self.means,
            "scales": self.scales,
            "centroids": self.centroids,
        }

    @classmethod
    def from_parts(cls, parts: dict[str, Any]) -> Segmentation:
        """Rebuild the segmentation from its parts."""
        return cls(**{**parts, "names": tuple(parts["names"])})


def fit_specialists(
    segment: np.ndarray,
    wanted: Sequence[int],
    matrix: np.ndarray,
    outcome: np.ndarray,
    names: Sequence[str],
    *,
    settings: PairSettings,
    seed: int,
    least_rows: int,
    least_outcomes: int,
) -> dict[int, AveragedPair]:
    """Return a pair of its own for each wanted segment that has enough rows of both outcomes."""
    pairs = {}
    for number in wanted:
        inside = segment == number
        churned = int(outcome[inside].sum())
        if inside.sum() < least_rows or min(churned, inside.sum() - churned) < least_outcomes:
            continue
        share = inside.mean()
        # A leaf as large as in the common pair would leave a small segment without trees.
        smaller = replace(
            settings, boosting_leaf_rows=max(20, int(settings.boosting_leaf_rows * share))
        )
        try:
            pairs[number] = AveragedPair.fit(matrix[inside], outcome[inside], names, smaller, seed)
        except CustomersAlike:
            continue
    return pairs


@dataclass(frozen=True)
class Trial:
    """One cut-off: probabilities by the common pair for all, by its own for each segment."""

    customers: pl.Series
    outcome: np.ndarray
    segment: np.ndarray
    common: np.ndarray
    own: Mapping[int, np.ndarray]

    def with_own(self, number: int) -> np.ndarray:
        """Return the probabilities with one segment served by its own pair."""
        mixed = self.common.copy()
        mixed[self.segment == number] = self.own[number]
        return mixed


def proven(
    trials: Sequence[Trial], *, count: int, seed: int
) -> tuple[list[int], list[dict[str, Any]]]:
    """Return the segments whose own pair is better, and the evidence for all.

    The level is divided by the number of segments, since the luckiest of many looks good.
    """
    kept, evidence = [], []
    for number in range(count):
        row: dict[str, Any] = {
            "segment": number,
            "customer_count": int((trials[0].segment == number).sum()),
        }
        if len(trials) < CUT_OFFS or not all(number in trial.own for trial in trials):
            evidence.append(row | {"is_kept": False, "why": "too few customers or outcomes"})
            continue
        scores = [{"own": trial.with_own(number), "common": trial.common} for trial in trials]
        _, judged = judge_cut_offs(
            [
                CutOff(one.customers, one.outcome, said)
                for one, said in zip(trials, scores, strict=True)
            ],
            seed=seed,
            level=1 - 0.05 / count,
        )
        gains = {name: judged.gains["common"][name] for name in PROOF}
        if all(gain.is_above_zero for gain in gains.values()):
            kept.append(number)
        evidence.append(
            row
            | {f"{name}_gain": [one.value, one.low, one.high] for name, one in gains.items()}
            | {
                "is_kept": number in kept,
                "why": "better than the common model"
                if number in kept
                else "not better beyond noise",
            }
        )
    return kept, evidence
