"""Lifetime value: what a customer will bring in over the next days, returns subtracted.

Here belong the split by time and the judgement beside the baselines. The model is in
`ml.value_model`, what it reads in `ml.value_rows`; its parts are the floor (`ml.buy_till_you_die`),
learners (`ml.value_learners`) and the season (`ml.value_season`).

A snapshot may teach a model only if its label has ended by the day that the model stands at. So
cut-offs form a chain: the one before a cut-off is the latest snapshot whose label was complete on
its day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from ml.amount_judgement import RankedAmounts, tenths_table
from ml.champion import Contest
from ml.errors import NotEnoughHistory
from ml.feature_policy import FeaturePolicy
from ml.judgement import CutOff, judge_cut_offs
from ml.model_runs import as_figures
from ml.threads import one_thread
from ml.trained_on import digest_of
from ml.value_learners import LEARNERS
from ml.value_model import LifetimeValueSettings, Method, ValueModel
from ml.value_rows import (
    OWN_FEATURES,
    fit_floor,
    labelled_rows,
    last_period,
    refuse_unusable,
)

# The season of the year is left to the factor: a feature of it as well would count it twice.
FEATURES: tuple[str, ...] = (
    "recency_days",
    "tenure_days",
    "order_count_7d",
    "order_count_28d",
    "order_count_90d",
    "order_count_365d",
    "order_count_prior_7d",
    "order_count_prior_28d",
    "order_count_prior_90d",
    "spend_amount_7d",
    "spend_amount_28d",
    "spend_amount_90d",
    "spend_amount_365d",
    "spend_amount_prior_7d",
    "spend_amount_prior_28d",
    "spend_amount_prior_90d",
    "average_order_amount",
    "average_order_amount_90d",
    "item_count_28d",
    "item_count_90d",
    "item_count_365d",
    "items_per_order_90d",
    "discount_share_90d",
    "discount_share_365d",
    "return_count_365d",
    "return_share_365d",
    "purchase_day_count_90d",
    "purchase_day_count_365d",
    "active_week_count_90d",
    "active_week_count_365d",
    "distinct_product_count_90d",
    "distinct_category_count_90d",
    "distinct_department_count_90d",
    "top_department_share_90d",
    "department_entropy_90d",
    "mean_gap_days",
    "gap_deviation_days",
    "recency_over_mean_gap",
    "store_count_90d",
    "home_store_share_90d",
    "weekend_share_90d",
    "evening_share_90d",
    "remote_share_365d",
    "coupon_redemption_count_90d",
    "coupon_redemption_count_365d",
    "campaign_contact_count_90d",
    "campaign_contact_count_365d",
    "last_session_days",
    "session_count_30d",
    "session_count_prior_30d",
    "session_count_90d",
    "view_without_order_count_30d",
    "abandoned_cart_count_30d",
    "funnel_depth_30d",
    "open_share_90d",
    "click_share_90d",
    "last_open_days",
    "nps_score_365d",
)


@dataclass(frozen=True)
class LifetimeValueResult:
    """The model to publish, and how its method was judged.

    `holdout` is the snapshot judged last, with what happened and what was expected; `contest` is
    the same one, for a champion to be compared on.
    """

    as_of_date: dt.date
    holdout_date: dt.date
    scores: pl.DataFrame
    model: ValueModel
    holdout: pl.DataFrame
    contest: Contest
    features: tuple[str, ...]
    parameters: dict[str, Any]
    metrics: dict[str, Any]


def predict_lifetime_value(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    policies: Mapping[str, FeaturePolicy],
    newest: pl.DataFrame | None = None,
    feature_names: Sequence[str] = FEATURES,
    settings: LifetimeValueSettings | None = None,
) -> LifetimeValueResult:
    """Judge the method at the latest cut-offs, refit on all labels, score the newest snapshot.

    `features` holds snapshots of all days, of all customers or of some drawn whole; `labels` their
    finished labels of any horizon. `newest` is today's snapshot of all customers; without it, that
    of `features` is scored. The published values come from the refitted model, the metrics from
    those that never saw their cut-off.
    """
    method = Method(tuple(feature_names), policies, settings or LifetimeValueSettings())
    settings = method.settings
    refuse_unusable(features, labels, method.features, policies, settings.least_customers)
    as_of_date = features["as_of_date"].max()
    if newest is None:
        newest = features.filter(pl.col("as_of_date") == as_of_date)
    newest = newest.sort("customer_id")
    with one_thread():
        labelled = labelled_rows(features, labels, method.features, policies, settings.horizon_days)
        judged = _standings(labelled, method)
        published = replace(
            ValueModel.fit(labelled, fit_floor(newest, policies), method),
            # The floor has learned from those of today, too.
            trained_on=digest_of({*labelled["customer_id"], *newest["customer_id"]}),
            twin=judged[0].model,
        )
    cut_offs = [one.cut_off for one in judged]
    each, mean = judge_cut_offs(cut_offs, seed=settings.seed, kind=RankedAmounts)
    latest = judged[0]
    scores = published.score(newest)
    return LifetimeValueResult(
        as_of_date=as_of_date,
        holdout_date=latest.day,
        scores=scores,
        model=published,
        holdout=latest.rows.with_columns(expected_value_amount=pl.Series(latest.expected["value"])),
        contest=_contest(latest, settings.seed),
        features=published.features,
        parameters=as_figures(
            asdict(settings)
            | {
                "own_features": OWN_FEATURES,
                "training": "snapshots whose label ends on or before the cut-off",
            }
        ),
        metrics=as_figures(
            {
                "holdout_date": latest.day,
                "horizon_days": settings.horizon_days,
                "customer_count": latest.rows.height,
                "buying_share": (latest.actual > 0).mean(),
                "actual_total": latest.actual.sum(),
                **each[0].values(),
                "cut_offs": [
                    {"as_of_date": one.day} | judgement.with_intervals()
                    for one, judgement in zip(judged, each, strict=True)
                ],
                "mean_of_cut_offs": mean.with_intervals(),
                "learners": latest.learners_judged,
                "orders": latest.orders_judged,
                "tenths": tenths_table(latest.actual, latest.expected["value"]).to_dicts(),
                "season_factor": published.season.factor(as_of_date),
                "season_repeat_share": published.season.repeat_share,
                "floor_parameters": {
                    "bg_nbd": asdict(published.floor.purchases),
                    "gamma_gamma": asdict(published.floor.amounts),
                },
                "training_row_count": labelled.height,
                "published_total": scores["expected_value_amount"].sum(),
            }
        ),
    )


@dataclass(frozen=True)
class _Standing:
    """What a model of what was known by `day` expects of the snapshot of that day."""

    day: dt.date
    model: ValueModel
    train: pl.DataFrame
    rows: pl.DataFrame
    expected: dict[str, np.ndarray]
    horizon_days: int

    @classmethod
    def at(cls, labelled: pl.DataFrame, day: dt.date, method: Method) -> _Standing:
        rows = labelled.filter(pl.col("as_of_date") == day)
        train = labelled.filter(pl.col("label_until_date") <= day)
        model = ValueModel.fit(train, fit_floor(rows, method.policies), method)
        return cls(day, model, train, rows, model.expected(rows), method.settings.horizon_days)

    @property
    def actual(self) -> np.ndarray:
        return self.rows["actual_value_amount"].to_numpy()

    @property
    def cut_off(self) -> CutOff:
        """The model beside the baselines."""
        said = {
            "model": self.expected["value"],
            "floor": self.rows["floor_value_amount"].to_numpy(),
            "last_period": last_period(self.rows, self.horizon_days),
        }
        return CutOff(self.rows["customer_id"], self.actual, said)

    @property
    def learners_judged(self) -> dict[str, dict[str, float]]:
        """How each learner did alone."""
        return {name: _measured(self.actual, self.expected[name]) for name in LEARNERS}

    @property
    def orders_judged(self) -> dict[str, dict[str, float]]:
        """How well the number of orders was told, beside days of purchase by BG/NBD."""
        actual = self.rows["actual_order_count"].to_numpy()
        return {
            "model": _measured(actual, self.expected["orders"]),
            "floor": _measured(actual, self.rows["floor_day_count"].to_numpy()),
        }


def _contest(latest: _Standing, seed: int) -> Contest:
    return Contest(
        latest.day,
        latest.rows["customer_id"],
        latest.actual,
        lambda model: model.score(latest.rows)["expected_value_amount"].to_numpy(),
        seed,
        RankedAmounts,
    )


def _standings(labelled: pl.DataFrame, method: Method) -> list[_Standing]:
    """Return the latest cut-offs, each with what was known on its day; at least one."""
    settings = method.settings
    if labelled.is_empty():
        raise NotEnoughHistory(
            f"not enough history: no snapshot with repeat buyers has {settings.horizon_days} days "
            "after it yet"
        )
    found = [_Standing.at(labelled, labelled["as_of_date"].max(), method)]
    while len(found) < settings.cut_offs:
        try:
            found.append(_Standing.at(labelled, found[-1].train["as_of_date"].max(), method))
        except NotEnoughHistory:
            break
    return found


def _measured(actual: np.ndarray, said: np.ndarray) -> dict[str, float]:
    once = RankedAmounts(actual, said).measure(np.ones((1, len(actual))))
    return {name: float(found[0]) for name, found in once.items()}
