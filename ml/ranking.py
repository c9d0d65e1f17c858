"""Lists of products, one for each customer, and how much of what came they had foreseen.

Here belong taking the best of scored candidates, the recall of a list, and its interval by
bootstrap over customers. Where candidates and scores come from belongs to the recommenders.

The recall of a customer is the share of products bought later that the list of ten holds, over ten
at most: whoever bought forty products cannot be served better than ten times. Customers who bought
nothing of the kind later say nothing about a list and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ml.judgement import DRAWS, LEVEL, Figure

LENGTH = 10


def order_by_score(customer: np.ndarray, product: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the order of candidates by customer, the best first; ties go to the lower product."""
    return np.lexsort((product, -score, customer))


def rank_in_runs(run: np.ndarray) -> np.ndarray:
    """Return for each entry its place among the equal values around it, from 0."""
    if not len(run):
        return np.empty(0, dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, run[1:] != run[:-1]])
    return np.arange(len(run)) - np.repeat(starts, np.diff(np.r_[starts, len(run)]))


def best(
    customer: np.ndarray, product: np.ndarray, score: np.ndarray, length: int = LENGTH
) -> np.ndarray:
    """Return the places of each customer's best candidates, by customer and rank."""
    order = order_by_score(customer, product, score)
    return order[rank_in_runs(customer[order]) < length]


def recall_of(
    listed: np.ndarray,
    truth: np.ndarray,
    *,
    product_count: int,
    customer_count: int,
    is_judged: np.ndarray,
    length: int = LENGTH,
) -> np.ndarray:
    """Return the recall of each customer's list; NaN for one who is not judged or has no truth.

    `listed` and `truth` hold pairs as one number, as `Purchases.keys` does.
    """
    had = np.bincount(truth // product_count, minlength=customer_count)
    hits = listed[np.isin(listed, truth)]
    found = np.bincount(hits // product_count, minlength=customer_count)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(is_judged & (had > 0), found / np.minimum(had, length), np.nan)


def judge_recalls(
    cut_offs: Sequence[Mapping[str, np.ndarray]], *, seed: int, draws: int = DRAWS
) -> dict[str, dict[str, Figure]]:
    """Return figures by score, and by "a over b" the gain of each score over each other one.

    Each cut-off gives the recalls of the same customers under every score; the figure is the mean
    over customers, averaged over cut-offs. A customer is drawn with all of its cut-offs, and all
    scores are judged on the same draw.
    """
    names = list(cut_offs[0])
    stacked = [np.column_stack([one[name] for name in names]) for one in cut_offs]
    known = [~np.isnan(values[:, 0]) for values in stacked]
    everyone = np.flatnonzero(np.any(known, axis=0))
    stacked = [np.nan_to_num(values[everyone]) for values in stacked]
    known = [which[everyone].astype(float) for which in known]

    def mean(times: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            each = [
                (times * which) @ values / (times @ which)
                for values, which in zip(stacked, known, strict=True)
            ]
        return np.mean(each, axis=0)

    random, size = np.random.default_rng(seed), len(everyone)
    means = np.array(
        [
            mean(np.ones(size)),
            *(
                mean(np.bincount(random.integers(size, size=size), minlength=size))
                for _ in range(draws if size else 0)
            ),
        ]
    )
    figures = {name: _figure(means[:, i]) for i, name in enumerate(names)}
    gains = {
        name: {
            other: _figure(means[:, i] - means[:, j])
            for j, other in enumerate(names)
            if other != name
        }
        for i, name in enumerate(names)
    }
    return {"figures": figures, "gains": gains}


def _figure(values: np.ndarray) -> Figure:
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return Figure(float(values[0]), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(float(values[0]), float(low), float(high))
