"""The model of lifetime value: what it consists of, how it is fitted, scored and stored.

Here belong the settings, putting floor, learners and season together, and the parts of the
model file. Which rows it may be fitted to, and how good it is, belong to `ml.lifetime_value`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ml.amount_judgement import tenths
from ml.buy_till_you_die import BgNbd, Floor, GammaGamma
from ml.errors import NotEnoughHistory
from ml.feature_matrix import feature_matrix
from ml.feature_policy import (
    FeaturePolicy,
    needed_policies,
    policies_as_parts,
    policies_from_parts,
)
from ml.threads import one_thread
from ml.trained_on import digest_of
from ml.value_learners import LEARNERS, Learners, LearnerSettings, Line
from ml.value_rows import OWN_FEATURES, READ, with_own_features
from ml.value_season import Season


@dataclass(frozen=True)
class LifetimeValueSettings:
    """What may be tuned; recorded as the parameters of the run."""

    seed: int = 20170101
    horizon_days: int = 28
    learners: LearnerSettings = field(default_factory=LearnerSettings)
    cut_offs: int = 3
    least_customers: int = 50
    least_outcomes: int = 10
    scoring_chunk_rows: int = 100_000


@dataclass(frozen=True)
class Method:
    """Which features are read, what stands in where one is empty, and what may be tuned."""

    features: tuple[str, ...]
    policies: Mapping[str, FeaturePolicy]
    settings: LifetimeValueSettings

    def matrix(self, rows: pl.DataFrame) -> np.ndarray:
        """Return the features, then this model's own, as numbers without gaps."""
        own = rows.select(pl.col(name).cast(pl.Float64) for name in OWN_FEATURES).to_numpy()
        # The logarithm keeps the sign, as returns can outweigh purchases.
        own = np.sign(own) * np.log1p(np.abs(own))
        return np.hstack([feature_matrix(rows, self.features, self.policies), own])

    def amounts(self, rows: pl.DataFrame) -> np.ndarray:
        """Return what was spent in each window, and last what the floor expects; none below 0."""
        spent = dict.fromkeys(n for n in (*READ, *self.features) if n.startswith("spend_amount_"))
        wanted = (*spent, "floor_value_amount")
        return rows.select(pl.col(n).cast(pl.Float64).clip(0) for n in wanted).to_numpy()


@dataclass(frozen=True)
class ValueModel:
    """A fitted model: floor, learners of value, a line for orders, and the season.

    `twin` is the same method, trained by the day of the holdout and judged there. `trained_on` is
    the digest (`ml.trained_on`) of all customers that either has learned from.
    """

    method: Method
    floor: Floor
    learners: Learners
    orders: Line
    season: Season
    trained_until: str
    trained_on: np.ndarray
    twin: ValueModel | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """What it reads, in its order: columns of the mart, then what its floor says of them."""
        return (*self.method.features, *OWN_FEATURES)

    @classmethod
    def fit(cls, train: pl.DataFrame, floor: Floor, method: Method) -> ValueModel:
        """Fit to labelled rows, or say by name why not."""
        refuse_too_little(train, method.settings)
        settings, matrix = method.settings.learners, method.matrix(train)
        season = Season.fit(train)
        # What comes back counts as nothing: a mean of less than nothing is no use to anybody.
        value = np.maximum(train["actual_value_amount"].to_numpy(), 0.0)
        usual = season.to_usual(train["as_of_date"])
        orders = train["actual_order_count"].to_numpy()
        return cls(
            method=method,
            floor=floor,
            learners=Learners.fit(
                matrix, method.amounts(train), value * usual, settings, method.settings.seed
            ),
            orders=Line.of_counts(matrix, orders * usual, settings.line_penalty),
            season=season,
            trained_until=str(train["label_until_date"].max()),
            trained_on=digest_of(train["customer_id"].unique()),
        )

    def expected(self, rows: pl.DataFrame) -> dict[str, np.ndarray]:
        """Return orders, value, and value by learner, of rows of one day with own features."""
        matrix = self.method.matrix(rows)
        season = self.season.factor(rows["as_of_date"][0])
        learned = self.learners.predict(matrix, self.method.amounts(rows)) * season
        return {
            "orders": np.exp(self.orders.of(matrix)) * season,
            "value": learned.mean(axis=1),
            **dict(zip(LEARNERS, learned.T, strict=True)),
        }

    def score(self, snapshot: pl.DataFrame) -> pl.DataFrame:
        """Return one row per row of one day, in its order and in bounded memory."""
        settings, policies = self.method.settings, self.method.policies
        snapshot = snapshot.drop(OWN_FEATURES, strict=False)  # another floor's, if there are any
        made = []
        for chunk in snapshot.iter_slices(settings.scoring_chunk_rows):
            rows = with_own_features(chunk, self.floor, settings.horizon_days, policies)
            with one_thread():
                expected = self.expected(rows)
            made.append(
                rows.select(
                    "customer_id",
                    horizon_days=pl.lit(settings.horizon_days, pl.Int64),
                    expected_order_count=pl.Series(expected["orders"]).round(6),
                    expected_value_amount=pl.Series(expected["value"]).round(4),
                    floor_value_amount=pl.col("floor_value_amount").round(4),
                )
            )
        scores = pl.concat(made)
        place = tenths(scores["expected_value_amount"].to_numpy())
        return scores.with_columns(value_decile=pl.Series(place, dtype=pl.Int64))

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {
            "settings": asdict(self.method.settings),
            "policies": policies_as_parts(
                needed_policies(self.method.policies, (*READ, *self.method.features))
            ),
            "purchases": asdict(self.floor.purchases),
            "amounts": asdict(self.floor.amounts),
            "learners": self.learners.as_parts(),
            "orders": asdict(self.orders),
            "season": {name: _plain(value) for name, value in asdict(self.season).items()},
            "trained_until": self.trained_until,
            "trained_on": self.trained_on,
            "twin": self.twin.as_parts() if self.twin else None,
        }

    @classmethod
    def from_parts(cls, features: Sequence[str], parts: dict[str, Any]) -> ValueModel:
        """Rebuild the model from what `ml.artifacts.load` returns."""
        learners = LearnerSettings(**parts["settings"]["learners"])
        settings = LifetimeValueSettings(**(parts["settings"] | {"learners": learners}))
        offered = tuple(name for name in features if name not in OWN_FEATURES)
        return cls(
            method=Method(offered, policies_from_parts(parts["policies"]), settings),
            floor=Floor(BgNbd(**parts["purchases"]), GammaGamma(**parts["amounts"])),
            learners=Learners.from_parts(parts["learners"]),
            orders=Line(**parts["orders"]),
            season=Season(
                **{n: tuple(v) if isinstance(v, list) else v for n, v in parts["season"].items()}
            ),
            trained_until=parts["trained_until"],
            trained_on=parts["trained_on"],
            twin=cls.from_parts(features, parts["twin"]) if parts["twin"] else None,
        )


def refuse_too_little(train: pl.DataFrame, settings: LifetimeValueSettings) -> None:
    """Raise where there is nothing to learn from."""
    if train.is_empty():
        raise NotEnoughHistory(
            f"not enough history: no earlier snapshot has a label of {settings.horizon_days} days "
            "that ends before the one to judge; at least two are needed, to train and to judge"
        )
    customers = train["customer_id"].n_unique()
    buyers = train.filter(
        (pl.col("actual_value_amount") > 0) & (pl.col("actual_order_count") > 0)
    ).height
    for found, least, what in (
        (customers, settings.least_customers, "customers"),
        (buyers, settings.least_outcomes, "rows with a value above zero"),
    ):
        if found < least:
            raise NotEnoughHistory(
                f"not enough history: {found} {what}, {least} needed to train a model of value"
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
