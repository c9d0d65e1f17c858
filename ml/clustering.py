"""Clusters of customers who buy alike: kept from day to day, fitted again when they wear out.

Here belong the two ways to today's clusters (assign to the kept ones, or fit, match and name new
ones) and their profiles. What is tried is in `ml.cluster_candidates`, what is taken in
`ml.cluster_choice`, when to fit again in `ml.cluster_upkeep`, names in `ml.naming`; features and
outcomes are made in dbt.

The clusters are fitted on the latest snapshot whose next period is over, so that what is judged is
what is published, and nothing in it has seen the period that it is judged by.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from ml.cluster_candidates import FEATURES, Candidate, ClusterSettings, Period, periods
from ml.cluster_choice import COLUMNS, choose
from ml.cluster_model import ClusterModel, nearest
from ml.cluster_upkeep import Upkeep, matched_ids, settings_text
from ml.errors import BadFeature, ModelRefused, NotEnoughHistory, RepeatedCustomer
from ml.feature_policy import FeaturePolicy
from ml.model_runs import as_figures
from ml.naming import name_clusters
from ml.trained_on import digest_of

# What a profile says, by the names that people and `ml.naming` use.
PROFILE = {
    "recency_days": "recency_days",
    "frequency": "order_count_365d",
    "monetary_amount": "spend_amount_365d",
}
NOTHING_PUBLISHED = pl.DataFrame(
    schema={"customer_id": pl.String, "cluster_id": pl.Int32, "cluster_name": pl.String}
)


@dataclass(frozen=True)
class ClusterResult:
    """Every customer's cluster, the clusters' profiles, and the evidence for them.

    `candidates` is empty where nothing was fitted; `refused` then says why, if it should have been.
    """

    as_of_date: dt.date
    assignments: pl.DataFrame
    profiles: pl.DataFrame
    candidates: pl.DataFrame
    model: ClusterModel
    is_fitted: bool
    features: tuple[str, ...]
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None


def columns_read(policies: Mapping[str, FeaturePolicy]) -> list[str]:
    """Return the columns of the features mart that clusters are made of."""
    names = list(FEATURES)
    for name in names:
        policy = policies.get(name)
        other = policy.stand_in if policy and not policy.is_category else None
        if isinstance(other, str) and other not in names:
            names.append(other)  # the loop comes to it, too
    return names


def fitting_customers(today: pl.DataFrame, settings: ClusterSettings | None = None) -> list[str]:
    """Return whose history a fit should read: everyone's, or that of a seeded sample."""
    settings = settings or ClusterSettings()
    # In the order of the features: customer ids are keyed hashes, and another key must not give
    # other clusters.
    ids = today.sort(*[name for name in FEATURES if name in today.columns])["customer_id"]
    if len(ids) <= settings.most_fitting_rows:
        return ids.to_list()
    return ids.sample(settings.most_fitting_rows, seed=settings.seed).to_list()


def cluster_customers(
    today: pl.DataFrame,
    history: pl.DataFrame | None = None,
    *,
    policies: Mapping[str, FeaturePolicy],
    kept: ClusterModel | ModelRefused | None = None,
    need: Upkeep | None = None,
    published: pl.DataFrame = NOTHING_PUBLISHED,
    highest_id: int = -1,
    settings: ClusterSettings | None = None,
) -> ClusterResult:
    """Put every customer of `today`, one snapshot of the features mart, into a cluster.

    With `need.reason`, or with nothing kept, clusters are fitted on `history` (see
    `ml.cluster_candidates.periods`; None or empty while no period is over) and matched to what is
    `published`; `highest_id` is the highest cluster id ever given. Where fitting is refused, the
    kept clusters serve on, if they can.

    Raises:
        ModelRefused: neither can be fitted nor are there kept clusters that fit the data.

    """
    settings = settings or ClusterSettings()
    today = _checked(today)
    need = need or Upkeep("no clusters are kept yet", is_usable=False)
    refused = None
    if need.reason is not None:
        try:
            return _fitted(today, history, policies, kept, need, published, highest_id, settings)
        except ModelRefused as error:
            if not need.is_usable:
                raise
            refused = f"to be fitted again ({need.reason}), but {error}; the kept clusters stay"
    assigned = kept.assign(today, policies)
    profiles, everyone = profile(today, assigned)
    names = name_clusters(profiles, everyone, kept.names)
    return ClusterResult(
        as_of_date=today["as_of_date"].max(),
        assignments=_published(assigned, names),
        profiles=_with_names(profiles, names),
        candidates=pl.DataFrame(schema=COLUMNS),
        model=kept,
        is_fitted=False,
        features=FEATURES,
        refused=refused,
    )


def profile(
    today: pl.DataFrame, assigned: pl.DataFrame
) -> tuple[pl.DataFrame, Mapping[str, float]]:
    """Return one row per cluster (size, share, medians, totals) and the medians of everyone."""
    rows = today.select(
        "customer_id",
        *(pl.col(column).cast(pl.Float64).alias(name) for name, column in PROFILE.items()),
    ).join(assigned.select("customer_id", "cluster_id"), on="customer_id")
    everyone = rows.select(pl.col(name).median() for name in PROFILE).row(0, named=True)
    profiles = (
        rows.group_by("cluster_id")
        .agg(
            customer_count=pl.len().cast(pl.Int64),
            total_amount=pl.col("monetary_amount").sum(),
            **{name: pl.col(name).median() for name in PROFILE},
        )
        .sort("cluster_id")
        .with_columns(
            customer_share=pl.col("customer_count") / rows.height,
            revenue_share=(pl.col("total_amount") / pl.col("total_amount").sum()).round(6),
        )
        .select("cluster_id", "customer_count", "customer_share", "revenue_share", *PROFILE)
    )
    return profiles, everyone


def _fitted(
    today: pl.DataFrame,
    history: pl.DataFrame | None,
    policies: Mapping[str, FeaturePolicy],
    kept: ClusterModel | ModelRefused | None,
    need: Upkeep,
    published: pl.DataFrame,
    highest_id: int,
    settings: ClusterSettings,
) -> ClusterResult:
    if today.height < settings.least_customers:
        raise NotEnoughHistory(
            f"not enough history: {today.height} customers, {settings.least_customers} needed to "
            "find clusters"
        )
    chosen_ids = pl.DataFrame({"customer_id": fitting_customers(today, settings)})
    sample = _in_order(today.join(chosen_ids, on="customer_id", how="semi"))
    chain = [] if history is None else _chain(history, chosen_ids, settings)
    fitting = chain[0].rows if chain else sample
    chosen, candidates = choose(fitting, sample, chain, policies, settings)
    model = _described(chosen, today, policies, settings)
    # The numbers of the fit say nothing yet: matched to the published ones, or by worth.
    ids = (
        matched_ids(model.assign(today, policies), published, highest_id)
        if published.height
        else _by_worth(model.assign(today, policies), today)
    )
    model = replace(
        model,
        cluster_ids=tuple(ids[number] for number in model.cluster_ids),
        trained_on=digest_of(
            pl.concat([fitting["customer_id"], *(one.rows["customer_id"] for one in chain)])
            .unique()
            .to_list()
        ),
    )
    assigned = model.assign(today, policies)
    profiles, everyone = profile(today, assigned)
    so_far = dict(published.select("cluster_id", "cluster_name").unique().rows())
    names = name_clusters(profiles, everyone, so_far)
    model = replace(model, cluster_names=tuple(names[number] for number in model.cluster_ids))
    return ClusterResult(
        as_of_date=today["as_of_date"].max(),
        assignments=_published(assigned, names),
        profiles=_with_names(profiles, names),
        candidates=candidates,
        model=model,
        is_fitted=True,
        features=FEATURES,
        parameters=as_figures(
            asdict(settings)
            | {
                "fitted_because": need.reason,
                "followed": kept.fitted_on if isinstance(kept, ClusterModel) else None,
                "scaling": "log1p by features.yml, standardised, principal components",
            }
        ),
        metrics=as_figures(
            {
                "fitted_because": need.reason,
                "fitted_on": fitting["as_of_date"].max(),
                "cut_offs": [one.day for one in chain[:-1]],
                "customer_count": today.height,
                "cluster_count": len(model.centroids),
                "view": chosen.view,
                "method": chosen.method,
                "features": list(model.features),
                "component_count": model.space.depth,
                **chosen.figures,
                "drift_before": need.drift,
                "candidates": candidates.to_dicts(),
                "clusters": _with_names(profiles, names).to_dicts(),
                "everyone": dict(everyone),
            }
        ),
    )


def _chain(history: pl.DataFrame, wanted: pl.DataFrame, settings: ClusterSettings) -> list[Period]:
    chain = periods(
        _in_order(history.join(wanted, on="customer_id", how="semi")), settings.cut_offs
    )
    return chain if chain and chain[0].rows.height >= settings.least_customers else []


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort by all but the ids: no draw depends on the incoming order, or on the key of the ids."""
    names = (*FEATURES, "is_repurchased", "next_spend_amount", "customer_id")
    return rows.sort(*(name for name in names if name in rows.columns))


def _described(
    chosen: Candidate,
    today: pl.DataFrame,
    policies: Mapping[str, FeaturePolicy],
    settings: ClusterSettings,
) -> ClusterModel:
    places = chosen.space.places(today, policies)[:, : chosen.space.depth]
    # Nobody could see or name a cluster that is empty today.
    centroids = chosen.centroids[np.unique(nearest(places, chosen.centroids)[0])]
    count = len(centroids)
    model = ClusterModel(
        space=chosen.space,
        centroids=centroids,
        cluster_ids=tuple(range(count)),
        cluster_names=("",) * count,
        method=chosen.method,
        view=chosen.view,
        fitted_on=str(today["as_of_date"].max()),
        settings=settings_text(settings),
        customer_count=today.height,
        shares=np.zeros(count),
        mean_distance=0.0,
        distance_deviation=0.0,
        trained_on=np.empty(0, dtype=np.uint64),
    )
    assigned = model.assign(today, policies)
    return replace(
        model,
        shares=np.bincount(assigned["cluster_id"], minlength=count) / today.height,
        mean_distance=float(assigned["distance"].mean()),
        distance_deviation=float(assigned["distance"].std()),
    )


def _by_worth(assigned: pl.DataFrame, today: pl.DataFrame) -> dict[int, int]:
    """Number clusters by the median of what their customers spent, the most valuable first."""
    profiles, _ = profile(today, assigned)
    order = profiles.sort(
        "monetary_amount", "frequency", "cluster_id", descending=[True, True, False]
    )["cluster_id"].to_list()
    return {number: place for place, number in enumerate(order)}


def _published(assigned: pl.DataFrame, names: Mapping[int, str]) -> pl.DataFrame:
    return assigned.select(
        "customer_id", "cluster_id", _named(names), "map_x", "map_y", "map_z"
    ).sort("customer_id")


def _with_names(profiles: pl.DataFrame, names: Mapping[int, str]) -> pl.DataFrame:
    return profiles.with_columns(_named(names)).select(
        "cluster_id", "cluster_name", pl.exclude("cluster_id", "cluster_name")
    )


def _named(names: Mapping[int, str]) -> pl.Expr:
    return (
        pl.col("cluster_id")
        .replace_strict(list(names), list(names.values()), return_dtype=pl.String)
        .alias("cluster_name")
    )


def _checked(today: pl.DataFrame) -> pl.DataFrame:
    """Refuse what is not one snapshot; values are judged where they are read."""
    absent = [
        name for name in ("customer_id", "as_of_date", *FEATURES) if name not in today.columns
    ]
    if absent:
        raise BadFeature(f"the features lack the column(s) {', '.join(absent)}")
    if today.is_empty():
        raise NotEnoughHistory("not enough history: 0 customers")
    repeated = today.height - today["customer_id"].n_unique()
    if repeated:
        raise RepeatedCustomer(
            f"the features repeat customers {repeated}×: pass one as_of_date at a time"
        )
    return today
