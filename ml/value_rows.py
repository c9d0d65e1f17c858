"""The rows that a model of value reads: one customer on one day, from the features mart alone.

Here belong the history behind the floor, joining labels to rows, and refusing rows that cannot be
used. Fitting belongs to `ml.value_learners`, the split by time to
`ml.lifetime_value`.

Nothing is read but the mart, so a row knows what was known on its day and of whom: days of purchase
looked up today would tell of people as they are linked today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ml.buy_till_you_die import Floor
from ml.errors import (
    BadFeature,
    CustomersAlike,
    LeakedLabel,
    NotEnoughHistory,
    RepeatedCustomer,
)
from ml.feature_policy import FeaturePolicy, filled

KEY = ("customer_id", "as_of_date")
LABEL = ("label_until_date", "actual_order_count", "actual_value_amount")

# Read of every row, whatever a model's features are: for the floor, and for the last period.
READ = (
    "recency_days",
    "tenure_days",
    "mean_gap_days",
    "purchase_day_count_365d",
    "spend_amount_7d",
    "spend_amount_28d",
    "spend_amount_90d",
    "spend_amount_365d",
)
OWN_FEATURES = ("floor_value_amount", "floor_day_count", "floor_day_amount")
MOST_FLOOR_CUSTOMERS = 50_000


def fit_floor(snapshot: pl.DataFrame, policies: Mapping[str, FeaturePolicy]) -> Floor:
    """Fit the floor to the customers of one day, or to some of very many."""
    known = histories(filled(snapshot, READ, policies))
    if known.height > MOST_FLOOR_CUSTOMERS:
        known = known.gather_every(-(-known.height // MOST_FLOOR_CUSTOMERS))
    return Floor.fit(known)


def histories(snapshot: pl.DataFrame) -> pl.DataFrame:
    """Return what the floor reads of each row whose empty values are filled.

    From the first day of purchase to the last lie as many mean gaps as there were repeats.
    """
    span = pl.col("tenure_days") - pl.col("recency_days")
    days = pl.col("purchase_day_count_365d")
    return snapshot.select(
        repeat_count=pl.when(span > 0)
        .then((span / pl.col("mean_gap_days")).round())
        .otherwise(0.0),
        last_age=span.cast(pl.Float64),
        observed_age=pl.col("tenure_days").cast(pl.Float64),
        amount_count=days.cast(pl.Float64),
        mean_amount=pl.when(days > 0).then(pl.col("spend_amount_365d") / days).otherwise(0.0),
    )


def with_own_features(
    snapshot: pl.DataFrame,
    floor: Floor,
    horizon_days: int,
    policies: Mapping[str, FeaturePolicy],
) -> pl.DataFrame:
    """Add `OWN_FEATURES`, what the floor says of each row, to rows of one day."""
    known = histories(filled(snapshot, READ, policies))
    return snapshot.hstack(floor.predict(known, horizon_days))


def last_period(snapshot: pl.DataFrame, horizon_days: int) -> np.ndarray:
    """Return the spending of the last window that is as long as the horizon, or made as long."""
    length = min((7, 28, 90, 365), key=lambda days: abs(days - horizon_days))
    return snapshot[f"spend_amount_{length}d"].to_numpy() * (horizon_days / length)


def labelled_rows(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    names: Sequence[str],
    policies: Mapping[str, FeaturePolicy],
    horizon_days: int,
) -> pl.DataFrame:
    """Return the rows whose outcome is known, with own features made of nothing after their day.

    A day on which nobody had bought twice yet teaches nothing, and is left out.
    """
    outcomes = labels.filter(pl.col("horizon_days") == horizon_days).select(
        *KEY,
        "label_until_date",
        actual_order_count=pl.col("order_count").cast(pl.Float64),
        actual_value_amount=pl.col("spend_amount").cast(pl.Float64),
    )
    wanted = list(dict.fromkeys((*KEY, *READ, *names)))
    known = features.select(wanted).join(outcomes, on=list(KEY), validate="1:1").sort(KEY)
    made = []
    for _, snapshot in known.group_by("as_of_date", maintain_order=True):
        try:
            floor = fit_floor(snapshot, policies)
        except NotEnoughHistory:
            continue
        made.append(with_own_features(snapshot, floor, horizon_days, policies))
    return pl.concat(made).sort("as_of_date", "customer_id") if made else known.clear()


def refuse_unusable(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    names: Sequence[str],
    policies: Mapping[str, FeaturePolicy],
    least_customers: int,
) -> None:
    """Raise a refusal of `ml.errors` for frames that no model may be made from."""
    read = tuple(dict.fromkeys((*READ, *names)))
    label = (*KEY, "horizon_days", "label_until_date", "order_count", "spend_amount")
    for frame, needed, key, what in (
        (features, (*KEY, *read), KEY, "features"),
        (labels, label, (*KEY, "horizon_days"), "labels"),
    ):
        absent = [name for name in needed if name not in frame.columns]
        if absent:
            raise BadFeature(f"the {what} frame lacks the column(s) {', '.join(absent)}")
        repeated = frame.height - frame.select(key).n_unique()
        if repeated:
            raise RepeatedCustomer(f"the {what} frame repeats {', '.join(key)} {repeated}×")
    today = features["as_of_date"].max()
    newest = features.filter(pl.col("as_of_date") == today)
    if newest.height < least_customers:
        raise NotEnoughHistory(
            f"not enough history: {newest.height} customers, {least_customers} needed to train a "
            "model of value"
        )
    filled(features, read, policies)
    for name in ("order_count", "spend_amount"):
        unreal = int((~labels[name].cast(pl.Float64).is_finite().fill_null(value=False)).sum())
        if unreal:
            raise BadFeature(f"{name} of the labels is empty, NaN or infinite in {unreal} row(s)")
    if all(newest[name].n_unique() == 1 for name in read):
        raise CustomersAlike(f"all {newest.height} customers are alike in every feature")
    unfinished = labels.filter(pl.col("label_until_date") > today).height
    if unfinished:
        raise LeakedLabel(f"{unfinished} label(s) end after {today}: nobody can know them yet")
