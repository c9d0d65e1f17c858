"""How long the kept clusters serve, and which new cluster is which old one.

Here belong the reasons to fit again (nothing usable is kept, asked for, settings, age, drift) and
the matching of new clusters to those that were published. Fitting is `ml.clustering`'s business.

People plan by clusters, so their meaning must not move day by day: as long as nothing here speaks
against it, today's customers are only put to the kept centroids.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ml.cluster_candidates import ClusterSettings
from ml.cluster_model import ClusterModel
from ml.errors import ModelRefused
from ml.feature_policy import FeaturePolicy
from ml.model_runs import as_figures, as_json

SURE = 3.5  # standard errors: about one false alarm in ten years of days
LEAST_OVERLAP = 0.25


@dataclass(frozen=True)
class Upkeep:
    """Why clusters are to be fitted, or None; whether those kept could serve; today's drift."""

    reason: str | None
    is_usable: bool
    drift: dict[str, Any] = field(default_factory=dict)


def upkeep(
    kept: ClusterModel | ModelRefused | None,
    today: pl.DataFrame,
    policies: Mapping[str, FeaturePolicy],
    settings: ClusterSettings,
    *,
    is_asked: bool = False,
) -> Upkeep:
    """Say whether the clusters of `today`, one snapshot, are to be fitted again.

    In place of a model whose file could not be read, the refusal of it is given.

    Raises:
        BadFeature: today's features hold a value that no policy covers.

    """
    if kept is None:
        return Upkeep("no clusters are kept yet", is_usable=False)
    try:
        if isinstance(kept, ModelRefused):
            raise kept
        kept.refuse_other_rules(policies)
    except ModelRefused as error:
        return Upkeep(f"the kept clusters cannot serve today's data: {error}", is_usable=False)
    drift = drift_of(kept, today, policies)
    age = (_day(today) - dt.date.fromisoformat(kept.fitted_on)).days
    reason = None
    if is_asked:
        reason = "asked for"
    elif kept.settings != settings_text(settings):
        reason = "the settings changed"
    elif age > settings.most_age_days:
        reason = f"{age} days old, {settings.most_age_days} allowed"
    elif drift["shift"] - drift["shift_noise"] > settings.least_shift:
        reason = (
            f"the sizes of the clusters shifted: index {drift['shift']:.2f}, "
            f"{settings.least_shift:g} allowed beyond noise"
        )
    elif drift["stretch_low"] > settings.least_stretch:
        reason = (
            f"customers lie {drift['stretch']:.2f} times as far from the centroids as when they "
            f"were fitted, {settings.least_stretch:g} allowed beyond noise"
        )
    return Upkeep(reason, is_usable=True, drift=as_figures(drift | {"age_days": age}))


def drift_of(
    kept: ClusterModel, today: pl.DataFrame, policies: Mapping[str, FeaturePolicy]
) -> dict[str, float]:
    """Compare where today's customers lie with where they lay on the day of the fit.

    `shift` is the population stability index of the cluster sizes, `stretch` the mean distance to
    the centroid over that of the fit. Both come with what noise alone may show.
    """
    assigned = kept.assign(today, policies)
    now = np.array([(assigned["cluster_id"] == number).sum() for number in kept.cluster_ids])
    # Half a customer more in each: an empty cluster is a large shift, not an infinite one.
    share, before = (
        (count + 0.5) / (count.sum() + len(count) / 2)
        for count in (now, kept.shares * kept.customer_count)
    )
    distance = assigned["distance"].to_numpy()
    noise = 1 / max(len(distance), 1) + 1 / max(kept.customer_count, 1)
    # The index is about a χ² with k - 1 degrees of freedom, times this noise.
    freedom = len(now) - 1
    error = np.sqrt(
        (distance.std() ** 2 / len(distance)) + (kept.distance_deviation**2 / kept.customer_count)
    )
    usual = max(kept.mean_distance, 1e-9)
    return {
        "shift": float(((share - before) * np.log(share / before)).sum()),
        "shift_noise": float(noise * (freedom + SURE * np.sqrt(2 * freedom))),
        "stretch": float(distance.mean() / usual),
        "stretch_low": float((distance.mean() - SURE * error) / usual),
    }


def matched_ids(fitted: pl.DataFrame, published: pl.DataFrame, highest_id: int) -> dict[int, int]:
    """Return the id of each new cluster: that of the published one it overlaps most with.

    Both have customer_id and cluster_id. The pairs are those with the greatest overlap in all
    (Hungarian method); one that shares less than a quarter is a new group, and gets an id that
    nobody had before.
    """
    from scipy.optimize import linear_sum_assignment

    new = fitted["cluster_id"].unique().sort().to_list()
    old = published["cluster_id"].unique().sort().to_list()
    both = fitted.join(published, on="customer_id", suffix="_old")
    shared = np.zeros((len(new), len(old)))
    for new_id, old_id, count in both.group_by("cluster_id", "cluster_id_old").len().iter_rows():
        shared[new.index(new_id), old.index(old_id)] = count
    either = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    overlap = shared / np.maximum(either, 1)
    found = {
        new[row]: old[column]
        for row, column in zip(*linear_sum_assignment(-overlap), strict=True)
        if overlap[row, column] >= LEAST_OVERLAP
    }
    free = max([highest_id, *old], default=-1) + 1
    for number in new:
        if number not in found:
            found[number] = free
            free += 1
    return found


def settings_text(settings: ClusterSettings) -> str:
    """Write down what the fit depends on, to see later whether it changed."""
    return as_json(asdict(settings))


def _day(today: pl.DataFrame) -> dt.date:
    return today["as_of_date"].max()
