"""The kept cluster model: scaling, principal components and centroids as plain numbers.

Here belong the space in which customers are compared (log-scaled by the policy, standardised,
turned to principal components), the assignment to the nearest centroid and the map. Which centroids
there are is `ml.cluster_choice`'s business, how long they are kept `ml.cluster_upkeep`'s.

Whatever method found the groups, only their centroids are kept: no customer is in the model, any
language can apply it, and what is published can be made again from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import polars as pl

from ml.errors import CustomersAlike, FeatureListChanged
from ml.feature_matrix import feature_matrix
from ml.feature_policy import FeaturePolicy

CHUNK_ROWS = 100_000
MAP = ("map_x", "map_y", "map_z")
# An eigenvector's sign is arbitrary, and the map would flip between two fits without a convention:
# right is worth more, and a long time since a purchase is weighed upwards, beside all else.
DIRECTIONS = ("spend_amount", "recency_days")
DIGITS = 9


@dataclass(frozen=True)
class Space:
    """Where customers are compared: the first `depth` principal components of some features."""

    features: tuple[str, ...]
    rules: str
    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray  # a row a component, all of them
    depth: int

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        features: Sequence[str],
        policies: Mapping[str, FeaturePolicy],
        variance: float,
    ) -> Space:
        """Keep as many components as hold the share `variance` of what differs.

        Raises:
            CustomersAlike: nothing differs.
            BadFeature: a value that no policy covers.

        """
        matrix = feature_matrix(frame, features, policies)
        mean, scale = matrix.mean(axis=0), matrix.std(axis=0)
        varies = scale > 1e-9
        if not varies.any():
            raise CustomersAlike(
                f"all {frame.height} customers have the same {', '.join(features)}"
            )
        # A constant feature says nothing: zero for everybody.
        scale = np.where(varies, scale, 1.0)
        standard = (matrix - mean) / scale
        values, vectors = np.linalg.eigh(np.atleast_2d(standard.T @ standard) / len(standard))
        values, vectors = np.maximum(values[::-1], 0), vectors.T[::-1]
        held = np.cumsum(values) / values.sum()
        depth = int(np.searchsorted(held, variance - 1e-12) + 1)
        return cls(
            tuple(features),
            rules_of(features, policies),
            mean,
            scale,
            _turned(vectors, features),
            min(depth, int((values > 1e-9).sum())),
        )

    def places(self, frame: pl.DataFrame, policies: Mapping[str, FeaturePolicy]) -> np.ndarray:
        """Return every component of each row; the first `depth` count for the distance."""
        matrix = feature_matrix(frame, self.features, policies)
        return ((matrix - self.mean) / self.scale) @ self.components.T


@dataclass(frozen=True)
class ClusterModel:
    """Centroids in a space, their stable ids and names, and how the customers lay about them.

    `shares` and the distances are those of the customers on the day of the fit, to see a drift;
    `trained_on` is the digest of whose rows were looked at.
    """

    space: Space
    centroids: np.ndarray
    cluster_ids: tuple[int, ...]
    cluster_names: tuple[str, ...]
    method: str
    view: str
    fitted_on: str
    settings: str
    customer_count: int
    shares: np.ndarray
    mean_distance: float
    distance_deviation: float
    trained_on: np.ndarray

    @property
    def features(self) -> tuple[str, ...]:
        """The features that the distance is measured in."""
        return self.space.features

    @property
    def names(self) -> dict[int, str]:
        """The name of each id on the day of the fit."""
        return dict(zip(self.cluster_ids, self.cluster_names, strict=True))

    def assign(self, frame: pl.DataFrame, policies: Mapping[str, FeaturePolicy]) -> pl.DataFrame:
        """Return customer_id, cluster_id, the map and the distance to the centroid of every row.

        Raises:
            FeatureListChanged: the features are read by other rules than on the day of the fit.

        """
        self.refuse_other_rules(policies)
        ids = np.array(self.cluster_ids, dtype=np.int32)
        parts = []
        for chunk in frame.iter_slices(CHUNK_ROWS):
            places = self.space.places(chunk, policies)
            label, distance = nearest(places[:, : self.space.depth], self.centroids)
            shown = np.zeros((len(places), len(MAP)))
            shown[:, : min(len(MAP), places.shape[1])] = places[:, : len(MAP)]
            parts.append(
                chunk.select("customer_id").with_columns(
                    pl.Series("cluster_id", ids[label], dtype=pl.Int32),
                    *(pl.Series(name, shown[:, i].round(6)) for i, name in enumerate(MAP)),
                    pl.Series("distance", distance),
                )
            )
        return pl.concat(parts)

    def refuse_other_rules(self, policies: Mapping[str, FeaturePolicy]) -> None:
        """Raise FeatureListChanged unless the policy reads the features as on the day of the fit.

        A feature that was logarithmic then and is not now would be compared in another unit.
        """
        absent = [name for name in self.features if name not in policies]
        if absent:
            raise FeatureListChanged(
                f"the kept clusters need {', '.join(absent)}, which features.yml no longer has"
            )
        if rules_of(self.features, policies) != self.space.rules:
            raise FeatureListChanged(
                "features.yml reads the features of the kept clusters by other rules than on "
                f"{self.fitted_on}"
            )

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        space = {f"space_{name}": value for name, value in vars(self.space).items()}
        own = {name: value for name, value in vars(self).items() if name != "space"}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in (space | own).items()
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, Any]) -> ClusterModel:
        """Rebuild the model from what `ml.artifacts.load` returns."""
        read = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in parts.items()
        }
        space = Space(**{field.name: read.pop(f"space_{field.name}") for field in fields(Space)})
        return cls(space=space, **read)


def nearest(places: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest centroid of each row and the distance, one centroid at a time."""
    label = np.zeros(len(places), dtype=np.int32)
    least = np.full(len(places), np.inf)
    for number, centroid in enumerate(centroids):
        distance = ((places - centroid) ** 2).sum(axis=1)
        closer = distance < least
        label[closer], least[closer] = number, distance[closer]
    return label, np.sqrt(least)


def rules_of(features: Sequence[str], policies: Mapping[str, FeaturePolicy]) -> str:
    """Write down how the features are read, to see later whether that changed."""
    return json.dumps(
        {name: [policies[name].outliers, policies[name].stand_in] for name in features},
        sort_keys=True,
    )


def _turned(vectors: np.ndarray, features: Sequence[str]) -> np.ndarray:
    turned = vectors.copy()
    for number, row in enumerate(turned):
        wanted = DIRECTIONS[number] if number < len(DIRECTIONS) else "no feature"
        loading = sum(
            value for value, name in zip(row, features, strict=True) if name.startswith(wanted)
        )
        if abs(loading) < 1e-6:
            loading = row[np.argmax(np.abs(row).round(DIGITS))]
        row *= np.sign(loading)
    return turned
