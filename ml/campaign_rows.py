"""The rows of campaign response: sends whose outcome is known, and the numbers read of them.

Here belong which facts are read, joining a send to the latest snapshot before it, and the refusal
of rows that cannot teach or judge. Fitting and judging belong to `ml.campaign_response`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from ml.calibration import rarest
from ml.errors import BadFeature, NotEnoughHistory, OneClassLabel, RepeatedCustomer
from ml.feature_matrix import feature_matrix
from ml.feature_policy import FeaturePolicy

# What the mart of responses knows as of the start, and the snapshot only as of its own day.
HISTORY = (
    "campaign_contact_count_365d",
    "coupon_redemption_count_365d",
    "campaign_response_share_365d",
)
CUSTOMER_FACTS = (
    "recency_days",
    "tenure_days",
    "mean_gap_days",
    "order_count_90d",
    "order_count_365d",
    "active_week_count_90d",
    "spend_amount_28d",
    "spend_amount_90d",
    "spend_amount_365d",
    "average_order_amount",
    "average_order_amount_90d",
    "discount_share_90d",
    "discount_share_365d",
    "item_count_90d",
    "items_per_order_90d",
    "distinct_product_count_90d",
    "distinct_category_count_90d",
    "distinct_department_count_90d",
    "department_entropy_90d",
    "campaign_contact_count_90d",
    "coupon_redemption_count_90d",
    *HISTORY,
)
# Known of a send alone: of the campaign, of both together, and of coupons that no snapshot counts.
# Empty where the source does not tell, or nothing was bought: zero then.
CAMPAIGN_FACTS = (
    "length_days",
    "coupon_count",
    "covered_spend_amount_28d",
    "covered_spend_amount_90d",
    "covered_spend_amount_365d",
    "covered_spend_share_365d",
    "covered_product_count_365d",
    "covered_day_count_365d",
    "redeemed_category_count_365d",
    "till_coupon_order_count_365d",
    "till_coupon_amount_365d",
)
ONE_SEND = ["source", "source_campaign_id", "customer_id"]


def known_sends(responses: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
    """Return the sends whose outcome is known, with the latest snapshot before their start."""
    over = responses.drop_nulls("is_redeemed").with_columns(
        _eve=pl.col("started_date") - pl.duration(days=1)
    )
    facts = features.select(
        "customer_id", "as_of_date", *(name for name in CUSTOMER_FACTS if name not in HISTORY)
    )
    joined = over.sort("_eve").join_asof(
        facts.sort("as_of_date"),
        left_on="_eve",
        right_on="as_of_date",
        by="customer_id",
        check_sortedness=False,
    )
    return joined.drop("_eve").drop_nulls("as_of_date").sort("started_date", *ONE_SEND)


def send_matrix(rows: pl.DataFrame, policies: Mapping[str, FeaturePolicy]) -> np.ndarray:
    """Return the numbers that the learners read: first `CUSTOMER_FACTS`, then `CAMPAIGN_FACTS`."""
    campaign = rows.select(pl.col(n).cast(pl.Float64).fill_null(0) for n in CAMPAIGN_FACTS)
    bad = [name for name in CAMPAIGN_FACTS if not campaign[name].is_finite().all()]
    if bad:
        raise BadFeature(f"no finite number somewhere: {', '.join(bad)}")
    return np.column_stack(
        [feature_matrix(rows, CUSTOMER_FACTS, policies), np.log1p(campaign.to_numpy())]
    )


def outcome_of(rows: pl.DataFrame) -> np.ndarray:
    """Return 1 for every send that was redeemed and 0 for the others."""
    return rows["is_redeemed"].cast(pl.Int8).to_numpy().astype(np.int64)


def refuse_repeats(responses: pl.DataFrame, features: pl.DataFrame) -> None:
    """Raise when a send or a snapshot of a customer is there twice."""
    for frame, key in ((responses, ONE_SEND), (features, ["customer_id", "as_of_date"])):
        if frame.select(key).is_duplicated().any():
            raise RepeatedCustomer(f"rows repeat {', '.join(key)}")


def refuse_rows(rows: pl.DataFrame, where: str, least_customers: int, least_outcomes: int) -> None:
    """Raise when there are too few rows to learn from or to judge by."""
    customers = rows["customer_id"].n_unique()
    if customers < least_customers:
        raise NotEnoughHistory(
            f"not enough history: {where} were sent to {customers} customers with a snapshot "
            f"before, {least_customers} needed to learn and to judge who redeems"
        )
    outcome = outcome_of(rows)
    if outcome.min() == outcome.max():
        raise OneClassLabel(f"of {where}, {'all' if outcome[0] else 'none'} were redeemed")
    if rarest(outcome) < least_outcomes:
        raise NotEnoughHistory(
            f"not enough history: {where} have {rarest(outcome)} row(s) of the rarer outcome, "
            f"{least_outcomes} needed"
        )
