"""Candidate clusterings: every method, number of groups and view of the features, with figures.

Here belong the views, the methods, and what is measured of a candidate: sizes, silhouette, how well
the cluster alone tells the next period, and whether it comes back under resampling. Which candidate
is taken is decided in `ml.cluster_choice`.

A candidate is judged by what would be published of it, the nearest centroid in its space, and not
by what its method says of the rows that it was fitted on: a density method may leave half of them
out, and nobody could publish that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ml.cluster_model import Space, nearest
from ml.errors import CustomersAlike
from ml.feature_policy import FeaturePolicy

# Recency, frequency and money, over ever more of a customer's history and rhythm.
_WINDOWS = (
    "recency_days",
    *(f"order_count_{days}d" for days in (28, 90, 365)),
    *(f"spend_amount_{days}d" for days in (28, 90, 365)),
)
VIEWS: dict[str, tuple[str, ...]] = {
    "rfm": ("recency_days", "order_count_365d", "spend_amount_365d"),
    "windows": _WINDOWS,
    "momentum": (
        *_WINDOWS,
        *(f"order_count_prior_{days}d" for days in (28, 90)),
        *(f"spend_amount_prior_{days}d" for days in (28, 90)),
    ),
    "rhythm": (*_WINDOWS, "mean_gap_days", "recency_over_mean_gap", "active_week_count_90d"),
}
FEATURES = tuple(dict.fromkeys(name for view in VIEWS.values() for name in view))

KMEANS, MIXTURE, WARD, DENSITY = "k-means", "gaussian mixture", "ward", "hdbscan"


@dataclass(frozen=True)
class ClusterSettings:
    """What may be tuned; recorded as the parameters of the run."""

    views: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(VIEWS))
    methods: tuple[str, ...] = (KMEANS, MIXTURE, WARD, DENSITY)
    seed: int = 20170101
    least_k: int = 3
    most_k: int = 8
    density_shares: tuple[float, ...] = (0.02, 0.05, 0.10)
    variance: float = 0.90
    least_stability: float = 0.85
    least_share: float = 0.05
    most_share: float = 0.60
    resamples: int = 40
    cut_offs: int = 3
    starts: int = 10
    resample_starts: int = 3
    least_customers: int = 50
    most_fitting_rows: int = 20_000
    most_mixture_rows: int = 5_000
    most_pairwise_rows: int = 1_000  # Ward and HDBSCAN compare every two rows
    most_silhouette_rows: int = 1_000
    most_age_days: int = 91
    least_shift: float = 0.25  # of the population stability index
    least_stretch: float = 1.25  # of the mean distance to the centroid


@dataclass(frozen=True)
class Period:
    """A snapshot and what its customers did in the period after it."""

    day: dt.date
    rows: pl.DataFrame
    bought: np.ndarray
    spent: np.ndarray


@dataclass
class Candidate:
    """One clustering: its centroids, where they put the customers, and its figures.

    `told` is a pair for each judged period, the latest first: the chance of a purchase by cluster,
    learned in the period before, and the cluster of each customer.
    """

    view: str
    method: str
    asked: float
    space: Space | None
    centroids: np.ndarray
    figures: dict[str, Any]
    places: np.ndarray | None = None
    label: np.ndarray | None = None
    told: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Say in words which candidate this is."""
        size = f"from {self.asked:.0%}" if self.method == DENSITY else f"k = {self.asked:g}"
        return f"{self.method}, {size}, {self.view}"


def periods(history: pl.DataFrame, count: int) -> list[Period]:
    """Return the latest periods that follow each other without overlap, the latest first.

    `history` has a row per customer and snapshot whose next period is over: the features,
    label_until_date, is_repurchased and next_spend_amount.
    """
    chain: list[Period] = []
    ends = history.group_by("as_of_date").agg(pl.col("label_until_date").max())
    for day, until in ends.sort("as_of_date", descending=True).rows():
        if len(chain) <= count and (not chain or until <= chain[-1].day):
            rows = history.filter(pl.col("as_of_date") == day)
            bought = rows["is_repurchased"].cast(pl.Float64).to_numpy()
            chain.append(Period(day, rows, bought, rows["next_spend_amount"].to_numpy()))
    return chain


def candidates(
    fitting: pl.DataFrame,
    today: pl.DataFrame,
    chain: Sequence[Period],
    policies: Mapping[str, FeaturePolicy],
    settings: ClusterSettings,
) -> Iterator[Candidate]:
    """Yield every candidate, fitted on `fitting`, with all figures but its stability."""
    random = np.random.default_rng(settings.seed)
    seen = np.sort(random.permutation(fitting.height)[: settings.most_silhouette_rows])
    for view, features in settings.views.items():
        try:
            space = Space.fit(fitting, features, policies, settings.variance)
        except CustomersAlike as error:
            yield Candidate(view, "all methods", 0, None, np.empty((0, 0)), {"failed": str(error)})
            continue
        depth = space.depth
        places, now, *then = (
            space.places(rows, policies)[:, :depth]
            for rows in (fitting, today, *(period.rows for period in chain))
        )
        for method, asked in _asked(settings):
            centroids = centroids_of(
                method, asked, places, settings, seed=settings.seed, starts=settings.starts
            )
            found = Candidate(view, method, asked, space, centroids, {}, places)
            if len(centroids) < 2:
                found.figures["failed"] = "no groups found that could be told apart"
            else:
                found.label = nearest(places, centroids)[0]
                found.figures |= _sizes(now, centroids) | _silhouette(places, found.label, seen)
                found.figures |= _told(found, then, chain)
            yield found


def _asked(settings: ClusterSettings) -> Iterator[tuple[str, float]]:
    for method in settings.methods:
        sizes = range(settings.least_k, settings.most_k + 1)
        for asked in settings.density_shares if method == DENSITY else sizes:
            yield method, asked


def centroids_of(
    method: str,
    asked: float,
    places: np.ndarray,
    settings: ClusterSettings,
    *,
    seed: int,
    starts: int,
) -> np.ndarray:
    """Fit a method and return the centre of each group it found; no row is kept."""
    from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
    from sklearn.mixture import GaussianMixture

    most = {KMEANS: len(places), MIXTURE: settings.most_mixture_rows}
    places = _sampled(places, most.get(method, settings.most_pairwise_rows), seed)
    if method != DENSITY and not _differ(places, asked):
        return np.empty((0, places.shape[1]))
    if method == KMEANS:
        fitted = KMeans(int(asked), n_init=starts, random_state=seed).fit(places)
        return fitted.cluster_centers_
    if method == MIXTURE:
        mixture = GaussianMixture(int(asked), reg_covar=1e-3, random_state=seed)
        label = mixture.fit_predict(places)
    elif method == WARD:
        label = AgglomerativeClustering(int(asked)).fit_predict(places)
    else:
        least = max(5, round(asked * len(places)))
        label = HDBSCAN(min_cluster_size=least, min_samples=10, copy=True).fit_predict(places)
    # HDBSCAN calls what it leaves out -1.
    groups = [places[label == group].mean(axis=0) for group in np.unique(label[label >= 0])]
    return np.array(groups).reshape(-1, places.shape[1])


def stability(found: Candidate, settings: ClusterSettings) -> dict[str, float]:
    """Fit again on resampled customers; return how far all rows come into the same groups.

    It is the mean adjusted Rand index with its standard error. It ends early when the limit is out
    of reach.
    """
    from sklearn.metrics import adjusted_rand_score

    random = np.random.default_rng(settings.seed + 1)
    agreed: list[float] = []
    for number in range(settings.resamples):
        rows = found.places[random.integers(len(found.places), size=len(found.places))]
        again = centroids_of(
            found.method,
            found.asked,
            rows,
            settings,
            seed=settings.seed + 1 + number,
            starts=settings.resample_starts,
        )
        if len(again):
            agreed.append(adjusted_rand_score(found.label, nearest(found.places, again)[0]))
        else:
            agreed.append(0.0)
        mean, error = np.mean(agreed), np.std(agreed) / np.sqrt(len(agreed))
        if len(agreed) >= 4 and mean + 3 * error < settings.least_stability:
            break
    return {
        "stability": float(mean),
        "stability_error": float(error),
        "resamples": len(agreed),
    }


def _sizes(places: np.ndarray, centroids: np.ndarray) -> dict[str, Any]:
    label = nearest(places, centroids)[0]
    share = np.bincount(label, minlength=len(centroids)) / len(places)
    return {
        "k": len(centroids),
        "smallest_share": float(share.min()),
        "largest_share": float(share.max()),
    }


def _silhouette(places: np.ndarray, label: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import silhouette_score

    if not 1 < len(np.unique(label[seen])) < len(seen):
        return {"silhouette": 0.0}
    return {"silhouette": float(silhouette_score(places[seen], label[seen]))}


def _told(found: Candidate, then: Sequence[np.ndarray], chain: Sequence[Period]) -> dict[str, Any]:
    """Judge what the cluster alone says of the next period, by what it said the period before."""
    k = len(found.centroids)
    labels = [nearest(places, found.centroids)[0] for places in then]
    for label_before, label, before in zip(labels[1:], labels, chain[1:], strict=False):
        count = np.bincount(label_before, minlength=k)
        bought = np.bincount(label_before, weights=before.bought, minlength=k)
        # A cluster that was empty then buys like everybody.
        found.told.append(((bought + before.bought.mean()) / (count + 1), label))
    if not found.told:
        return {}
    every = np.array(
        [
            power(chance, label, period, np.ones((1, len(label))))[0]
            for (chance, label), period in zip(found.told, chain, strict=False)
        ]
    )
    return {
        "repurchase_roc_auc": float(every[:, 0].mean()),
        "spend_explained_share": float(every[:, 1].mean()),
        "repurchase_roc_auc_by_cut_off": every[:, 0].tolist(),
        "spend_explained_share_by_cut_off": every[:, 1].tolist(),
    }


def power(chance: np.ndarray, label: np.ndarray, period: Period, times: np.ndarray) -> np.ndarray:
    """Return the ROC-AUC of the repurchase and η² of the spend for each row of weights `times`."""
    order = np.argsort(-chance, kind="stable")
    inside = (label[:, None] == order[None]).astype(np.float64)
    weight, bought = times @ inside, times @ (inside * period.bought[:, None])
    spent = times @ (inside * period.spent[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        not_bought = weight - bought
        hits_before = np.cumsum(bought, axis=1) - bought / 2
        auc = (not_bought * hits_before).sum(axis=1)
        auc /= bought.sum(axis=1) * not_bought.sum(axis=1)
        total, everyone = spent.sum(axis=1), weight.sum(axis=1)
        between = np.where(weight > 0, spent**2 / weight, 0).sum(axis=1) - total**2 / everyone
        whole = times @ period.spent**2 - total**2 / everyone
        return np.stack([auc, between / whole], axis=1)


def _sampled(places: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(places) <= most:
        return places
    return places[np.sort(np.random.default_rng(seed).permutation(len(places))[:most])]


def _differ(places: np.ndarray, count: float) -> bool:
    """Whether there are at least as many kinds of row; the first component mostly suffices."""
    return len(np.unique(places[:, 0])) >= count or len(np.unique(places, axis=0)) >= count
