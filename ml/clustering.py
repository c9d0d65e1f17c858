"""Clusters of customers alike in recency, frequency and monetary value.

Here belong scaling, K-means, the choice of the number of clusters with its evidence, the order of
cluster ids and the 2-D map. Names come from `ml.naming`; RFM itself is made in dbt.

The choice is not left to silhouette, which is happiest with one huge cluster and a few outliers:
a candidate must first come back under resampling and have no splinter and no giant.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from ml.errors import BadFeature, CustomersAlike, NotEnoughHistory, RepeatedCustomer
from ml.model_runs import as_figures
from ml.naming import name_clusters
from ml.threads import one_thread

FEATURES = ("recency_days", "frequency", "monetary_amount")
WORTH = ("monetary_amount", "frequency")  # cluster 0 is worth most

# A customer without an order in the window has no amount: nothing was spent.
MISSING_POLICY: dict[str, tuple[float, str]] = {
    "monetary_amount": (0.0, "no order in the window"),
    "frequency": (0.0, "no order in the window"),
}


@dataclass(frozen=True)
class ClusterSettings:
    """What may be tuned; recorded as the parameters of the run."""

    seed: int = 20170101
    least_k: int = 3
    most_k: int = 8
    least_stability: float = 0.85
    least_share: float = 0.05
    most_share: float = 0.60
    silhouette_tolerance: float = 0.05
    resamples: int = 20
    starts: int = 10
    resample_starts: int = 3
    least_customers: int = 50
    most_fitting_rows: int = 10_000
    most_silhouette_rows: int = 2_000


@dataclass(frozen=True)
class ClusterModel:
    """Scaling, centroids and map as plain numbers: no customer is in it."""

    features: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    centroids: np.ndarray  # in scaled units, row = cluster_id
    axes: np.ndarray  # two rows, map_x and map_y
    fitted_on: str

    def assign(self, rfm: pl.DataFrame) -> pl.DataFrame:
        """Return customer_id, cluster_id, map_x, map_y for every row, sorted by customer_id."""
        rfm = _checked(rfm, self.features)
        scaled = (_log_scaled(rfm, self.features) - self.mean) / self.scale
        place = scaled @ self.axes.T
        return rfm.select("customer_id").with_columns(
            cluster_id=pl.Series(_nearest(scaled, self.centroids), dtype=pl.Int32),
            map_x=pl.Series(place[:, 0]),
            map_y=pl.Series(place[:, 1]),
        )

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {name: value for name, value in vars(self).items() if name != "features"}

    @classmethod
    def from_parts(cls, features: Sequence[str], parts: dict[str, Any]) -> ClusterModel:
        """Rebuild the model from what `ml.artifacts.load` returns."""
        return cls(features=tuple(features), **parts)


@dataclass(frozen=True)
class ClusterResult:
    """Every customer's cluster, the clusters' profiles, and the evidence for their number."""

    as_of_date: dt.date
    assignments: pl.DataFrame
    profiles: pl.DataFrame
    candidates: pl.DataFrame
    model: ClusterModel
    features: tuple[str, ...]
    parameters: dict[str, Any]
    metrics: dict[str, Any]


def cluster_customers(
    rfm: pl.DataFrame, *, settings: ClusterSettings | None = None, model: ClusterModel | None = None
) -> ClusterResult:
    """Choose, fit, assign and name the clusters of one `as_of_date` of `marts.mart_customer_rfm`.

    A `model` fitted before keeps its centroids; then nothing is chosen and `candidates` is empty.
    """
    settings = settings or ClusterSettings()
    rfm = _checked(rfm, FEATURES)
    if model is None:
        model, candidates = fit(rfm, settings=settings)
    else:
        candidates = pl.DataFrame(schema=_CANDIDATE_SCHEMA)
    assigned = model.assign(rfm)
    profiles, everyone = profile(rfm, assigned)
    names = name_clusters(profiles, everyone)
    profiles = profiles.with_columns(_named(names)).select(
        "cluster_id", "cluster_name", pl.exclude("cluster_id", "cluster_name")
    )
    assignments = assigned.select(
        "customer_id", "cluster_id", _named(names), "map_x", "map_y"
    ).with_columns(pl.col("map_x", "map_y").round(6))
    chosen = candidates.filter(pl.col("is_chosen"))
    return ClusterResult(
        as_of_date=rfm["as_of_date"].max(),
        assignments=assignments,
        profiles=profiles,
        candidates=candidates,
        model=model,
        features=model.features,
        parameters=as_figures(
            asdict(settings)
            | {
                "is_refitted": not candidates.is_empty(),
                "scaling": "log1p, then standardised",
                "missing": {name: list(rule) for name, rule in MISSING_POLICY.items()},
            }
        ),
        metrics=as_figures(
            {
                "customer_count": rfm.height,
                "cluster_count": len(model.centroids),
                "stability": chosen["stability"][0] if chosen.height else None,
                "silhouette": chosen["silhouette"][0] if chosen.height else None,
                "candidates": candidates.to_dicts(),
                "clusters": profiles.to_dicts(),
                "everyone": dict(everyone),
            }
        ),
    )


def fit(
    rfm: pl.DataFrame, *, settings: ClusterSettings | None = None
) -> tuple[ClusterModel, pl.DataFrame]:
    """Choose the number of clusters by evidence; return the model and every candidate's figures."""
    settings = settings or ClusterSettings()
    # In the order of the features: customer ids are keyed hashes, and another key must not give
    # other clusters.
    rfm = _checked(rfm, FEATURES).sort(FEATURES)
    if rfm.height < settings.least_customers:
        raise NotEnoughHistory(
            f"not enough history: {rfm.height} customers, {settings.least_customers} needed to "
            "find clusters"
        )
    generator = np.random.default_rng(settings.seed)
    sample = _log_scaled(rfm, FEATURES)
    # The scale comes from everyone, only the search for centroids from a sample.
    mean, scale = sample.mean(axis=0), sample.std(axis=0)
    if not (scale > 1e-9).any():
        raise CustomersAlike(f"all {rfm.height} customers have the same {', '.join(FEATURES)}")
    scale = np.where(scale > 1e-9, scale, 1.0)  # a constant feature then says nothing: all zeros
    if len(sample) > settings.most_fitting_rows:
        sample = sample[np.sort(generator.permutation(len(sample))[: settings.most_fitting_rows])]
    sample = (sample - mean) / scale

    with one_thread():
        found = _candidates(sample, settings, generator)
    table = _judged([figures for figures, _ in found], settings)
    k = table.filter(pl.col("is_chosen"))["k"][0]
    centroids = next(centroids for figures, centroids in found if figures["k"] == k)
    # Median and not mean worth, as in the profiles; ties are settled by the centroid itself.
    raw = _unscaled(sample, mean, scale)
    label = _nearest(sample, centroids)
    worth = [
        tuple(-np.median(raw[label == j, FEATURES.index(w)]).round(6) for w in WORTH)
        + tuple(centroids[j].round(9))
        for j in range(len(centroids))
    ]
    order = sorted(range(len(centroids)), key=worth.__getitem__)
    model = ClusterModel(
        features=FEATURES,
        mean=mean,
        scale=scale,
        centroids=centroids[order],
        axes=_map_axes(sample),
        fitted_on=str(rfm["as_of_date"].max()),
    )
    return model, table


def profile(
    rfm: pl.DataFrame, assigned: pl.DataFrame
) -> tuple[pl.DataFrame, Mapping[str, float | None]]:
    """Return one row per cluster (size, share, medians, totals) and the medians of everyone."""
    rows = _filled(rfm).join(assigned.select("customer_id", "cluster_id"), on="customer_id")
    everyone = rows.select(pl.col(FEATURES).cast(pl.Float64).median()).row(0, named=True)
    profiles = (
        rows.group_by("cluster_id")
        .agg(
            customer_count=pl.len().cast(pl.Int64),
            total_amount=pl.col("monetary_amount").cast(pl.Float64).sum(),
            **{name: pl.col(name).cast(pl.Float64).median() for name in FEATURES},
        )
        .sort("cluster_id")
        .with_columns(
            customer_share=pl.col("customer_count") / rows.height,
            revenue_share=(pl.col("total_amount") / pl.col("total_amount").sum()).round(6),
        )
        .select("cluster_id", "customer_count", "customer_share", "revenue_share", *FEATURES)
    )
    return profiles, everyone


_CANDIDATE_SCHEMA = {
    "k": pl.Int64,
    "stability": pl.Float64,
    "least_stability": pl.Float64,
    "smallest_share": pl.Float64,
    "largest_share": pl.Float64,
    "silhouette": pl.Float64,
    "calinski_harabasz": pl.Float64,
    "explained_share": pl.Float64,
    "is_chosen": pl.Boolean,
    "reason": pl.String,
}


def _candidates(
    sample: np.ndarray, settings: ClusterSettings, generator: np.random.Generator
) -> list[tuple[dict[str, Any], np.ndarray]]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import (
        adjusted_rand_score,
        calinski_harabasz_score,
        silhouette_score,
    )

    distinct = len(np.unique(sample, axis=0))
    if distinct < settings.least_k:
        raise CustomersAlike(
            f"only {distinct} kinds of customer differ, {settings.least_k} clusters are needed"
        )
    rows = len(sample)
    looked_at = np.sort(generator.permutation(rows)[: settings.most_silhouette_rows])
    resamples = [generator.integers(rows, size=rows) for _ in range(settings.resamples)]
    found = []
    for k in range(settings.least_k, min(settings.most_k, distinct) + 1):
        best = KMeans(k, n_init=settings.starts, random_state=settings.seed).fit(sample)
        label = best.labels_
        agreement = []
        for number, picked in enumerate(resamples):
            again = KMeans(
                k, n_init=settings.resample_starts, random_state=settings.seed + number + 1
            )
            if len(np.unique(sample[picked], axis=0)) < k:
                continue
            agreement.append(adjusted_rand_score(label, again.fit(sample[picked]).predict(sample)))
        share = np.bincount(label, minlength=k) / rows
        seen = label[looked_at]
        figures = {
            "k": k,
            "stability": float(np.mean(agreement)) if agreement else 0.0,
            "least_stability": float(np.min(agreement)) if agreement else 0.0,
            "smallest_share": float(share.min()),
            "largest_share": float(share.max()),
            "silhouette": float(silhouette_score(sample[looked_at], seen))
            if 1 < len(np.unique(seen)) < len(seen)
            else 0.0,
            "calinski_harabasz": float(calinski_harabasz_score(sample, label)),
            "explained_share": float(1 - best.inertia_ / (sample.var(axis=0).sum() * rows)),
        }
        found.append((figures, best.cluster_centers_))
    return found


def _judged(figures: list[dict[str, Any]], settings: ClusterSettings) -> pl.DataFrame:
    """Choose: of those that hold, the most detailed one whose silhouette is near the best."""
    broken = {row["k"]: _broken_limits(row, settings) for row in figures}
    holding = [row for row in figures if not broken[row["k"]]]
    if holding:
        best = max(row["silhouette"] for row in holding)
        near = [r for r in holding if r["silhouette"] >= best - settings.silhouette_tolerance]
        chosen = max(near, key=lambda row: row["k"])["k"]
    else:
        # Customers must still be grouped; the report says that the limits were not met.
        chosen = min(figures, key=lambda r: (len(broken[r["k"]]), -r["stability"], r["k"]))["k"]
    rows = []
    for row in figures:
        k = row["k"]
        if k == chosen:
            reason = (
                "chosen: the most detailed that holds all limits"
                if holding
                else "chosen although no candidate holds all limits: " + "; ".join(broken[k])
            )
        elif broken[k]:
            reason = "; ".join(broken[k])
        elif k > chosen:
            reason = (
                f"silhouette {row['silhouette']:.2f} is more than "
                f"{settings.silhouette_tolerance:g} below the best"
            )
        else:
            reason = f"holds all limits, but k = {chosen} tells more apart and holds them too"
        rows.append({**as_figures(row), "is_chosen": k == chosen, "reason": reason})
    return pl.DataFrame(rows, schema=_CANDIDATE_SCHEMA)


def _broken_limits(row: dict[str, Any], settings: ClusterSettings) -> list[str]:
    broken = []
    if row["stability"] < settings.least_stability:
        broken.append(
            f"not stable: agreement under resampling {row['stability']:.2f}, "
            f"{settings.least_stability:g} needed"
        )
    if row["smallest_share"] < settings.least_share:
        broken.append(
            f"a cluster of {row['smallest_share']:.1%}, at least {settings.least_share:.0%} needed"
        )
    if row["largest_share"] > settings.most_share:
        broken.append(
            f"a cluster of {row['largest_share']:.1%}, at most {settings.most_share:.0%} allowed"
        )
    return broken


def _map_axes(sample: np.ndarray) -> np.ndarray:
    """Return the first two principal axes; right is worth more, up is longer since a purchase.

    An eigenvector's sign is arbitrary, and without a convention the map would flip between runs.
    """
    _, vectors = np.linalg.eigh(np.cov(sample, rowvar=False))
    axes = vectors.T[::-1][:2].copy()
    for axis, feature in zip(axes, ("monetary_amount", "recency_days"), strict=True):
        loading = axis[FEATURES.index(feature)]
        if abs(loading) < 1e-9:
            loading = axis[np.argmax(np.abs(axis))]
        axis *= np.sign(loading)
    return axes


def _nearest(scaled: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the nearest centroid of each row, one centroid at a time to keep memory flat."""
    label = np.zeros(len(scaled), dtype=np.int32)
    least = np.full(len(scaled), np.inf)
    for j, centroid in enumerate(centroids):
        distance = ((scaled - centroid) ** 2).sum(axis=1)
        closer = distance < least
        label[closer], least[closer] = j, distance[closer]
    return label


def _log_scaled(rfm: pl.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Log-scale with the sign kept: returns can outweigh purchases."""
    values = _filled(rfm).select(pl.col(name).cast(pl.Float64) for name in names).to_numpy()
    return np.sign(values) * np.log1p(np.abs(values))


def _unscaled(scaled: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    values = scaled * scale + mean
    return np.sign(values) * np.expm1(np.abs(values))


def _filled(rfm: pl.DataFrame) -> pl.DataFrame:
    return rfm.with_columns(
        pl.col(name).fill_null(fill) for name, (fill, _) in MISSING_POLICY.items()
    )


def _named(names: dict[int, str]) -> pl.Expr:
    return (
        pl.col("cluster_id")
        .replace_strict(list(names), list(names.values()), return_dtype=pl.String)
        .alias("cluster_name")
    )


def _checked(rfm: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Refuse what no policy covers; sort, so that no draw depends on the incoming order."""
    absent = [n for n in ("customer_id", "as_of_date", *names) if n not in rfm.columns]
    if absent:
        raise BadFeature(f"the RFM frame lacks the column(s) {', '.join(absent)}")
    repeated = rfm.height - rfm["customer_id"].n_unique()
    if repeated:
        raise RepeatedCustomer(
            f"the RFM frame repeats customers {repeated}×: pass one as_of_date at a time"
        )
    wrong = []
    for name in names:
        if not rfm[name].dtype.is_numeric():
            wrong.append(f"{name} is {rfm[name].dtype}, not a number")
            continue
        empty = 0 if name in MISSING_POLICY else rfm[name].null_count()
        unreal = int((~rfm[name].drop_nulls().cast(pl.Float64).is_finite()).sum())
        if empty:
            wrong.append(f"{name} is empty in {empty} row(s)")
        if unreal:
            wrong.append(f"{name} is NaN or infinite in {unreal} row(s)")
    if wrong:
        raise BadFeature("no policy covers these RFM values: " + "; ".join(wrong))
    return rfm.sort("customer_id")
