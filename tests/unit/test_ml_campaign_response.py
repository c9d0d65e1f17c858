"""Campaign response: point in time, later campaigns teach nothing, refusals by name."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from dagster_project.feature_dictionary import feature_policies
from ml.campaign_response import ResponseSettings, train_campaign_response
from ml.campaign_rows import CUSTOMER_FACTS, HISTORY, known_sends
from ml.errors import BadFeature, NotEnoughHistory, OneClassLabel, RepeatedCustomer

TODAY = dt.date(2024, 6, 30)
CUSTOMERS = 120


def company(campaigns: int = 6) -> dict[str, pl.DataFrame]:
    """Every third customer redeems mostly, and spends on what the coupons cover."""
    random = np.random.default_rng(3)
    sends, facts = [], []
    for customer in range(CUSTOMERS):
        likes = customer % 3 == 0
        for number in range(campaigns):
            start = TODAY - dt.timedelta(30 * (number + 1))
            share = float(random.uniform(0.3, 0.6) if likes else random.uniform(0.0, 0.4))
            sends.append(
                {
                    "source": "s",
                    "source_campaign_id": f"c{number}",
                    "customer_id": f"p{customer:03}",
                    "started_date": start,
                    "ended_date": start + dt.timedelta(20),
                    "length_days": 21,
                    "coupon_count": None,
                    "covered_spend_amount_28d": 0.0,
                    "covered_spend_amount_90d": 30 * share,
                    "covered_spend_amount_365d": 100 * share,
                    "covered_spend_share_365d": share,
                    "covered_product_count_365d": 3,
                    "covered_day_count_365d": 3,
                    "redeemed_category_count_365d": 0,
                    "till_coupon_order_count_365d": 0,
                    "till_coupon_amount_365d": 0.0,
                    "campaign_contact_count_365d": campaigns - number,
                    "coupon_redemption_count_365d": 2 if likes else 0,
                    "campaign_response_share_365d": 0.5 if likes else 0.0,
                    "is_redeemed": bool(random.random() < (0.8 if likes else 0.1)),
                }
            )
        for number in range(campaigns + 1):
            day = TODAY - dt.timedelta(30 * number)
            values = {name: 1.0 + float(random.random()) for name in CUSTOMER_FACTS}
            values |= dict(zip(HISTORY, (3, 2, 0.5) if likes else (3, 0, 0.0), strict=True))
            facts.append({"customer_id": f"p{customer:03}", "as_of_date": day} | values)
    schema = {"coupon_count": pl.Int64}
    return {
        "responses": pl.DataFrame(sends, schema_overrides=schema),
        "features": pl.DataFrame(facts, schema_overrides={HISTORY[2]: pl.Float64}),
    }


def trained(data: dict[str, pl.DataFrame], **options):
    return train_campaign_response(**data, policies=feature_policies(), **options)


def test_everybody_is_scored_and_who_redeems_is_first() -> None:
    model = trained(company(), settings=ResponseSettings(customers_at_once=50))
    scores = pl.concat(model.lists())
    assert scores["customer_id"].n_unique() == scores.height == CUSTOMERS
    assert scores["response_score"].is_between(0, 1).all()
    likes = pl.col("customer_id").str.slice(1).cast(pl.Int64) % 3 == 0
    assert scores.filter(likes)["response_score"].min() > 0.5
    assert scores.filter(~likes)["response_score"].max() < 0.4
    assert model.metrics["intervals"]["model"]["roc_auc"][0] > 0.7


def test_a_campaign_that_ran_on_past_the_cut_off_teaches_nothing() -> None:
    data, cut_off = company(), TODAY - dt.timedelta(65)
    started_before = pl.col("started_date") < cut_off
    flipped = data["responses"].with_columns(
        ended_date=pl.when(pl.col("source_campaign_id") == "c2")
        .then(cut_off)
        .otherwise("ended_date"),
    )
    other = flipped.with_columns(
        is_redeemed=pl.when(started_before & (pl.col("ended_date") >= cut_off))
        .then(~pl.col("is_redeemed"))
        .otherwise("is_redeemed")
    )
    assert not flipped.equals(other)
    one, two = (
        trained(data | {"responses": rows}, cut_off=cut_off).metrics for rows in (flipped, other)
    )
    assert one == two


def test_only_a_snapshot_before_the_first_day_is_read() -> None:
    data = company()
    # The campaigns begin on days of snapshots: each must be joined to the one before.
    rows = known_sends(data["responses"], data["features"])
    assert (rows["as_of_date"] < rows["started_date"]).all()
    assert (rows["started_date"] - rows["as_of_date"]).unique().to_list() == [dt.timedelta(30)]
    assert "c5" not in rows["source_campaign_id"].to_list()  # none before its start


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r, f: (r.head(0), f), NotEnoughHistory, "sent to 0 customers"),
        (
            lambda r, f: (r.with_columns(is_redeemed=pl.lit(None, pl.Boolean)), f),
            NotEnoughHistory,
            "sent to 0 customers",
        ),
        (
            lambda r, f: (r.filter(pl.col("source_campaign_id") == "c1"), f),
            NotEnoughHistory,
            "that had ended before",
        ),
        (lambda r, f: (r.with_columns(is_redeemed=pl.lit(False)), f), OneClassLabel, "none were"),
        (
            lambda r, f: (r.with_columns(covered_spend_share_365d=pl.lit(float("nan"))), f),
            BadFeature,
            "covered_spend_share_365d",
        ),
        (
            lambda r, f: (r, f.with_columns(recency_days=pl.lit(float("inf")))),
            BadFeature,
            "recency_days",
        ),
        (lambda r, f: (pl.concat([r, r.head(1)]), f), RepeatedCustomer, "rows repeat"),
    ],
)
def test_bad_input_is_refused_by_name(change, error: type, message: str) -> None:
    data = company()
    responses, features = change(data["responses"], data["features"])
    with pytest.raises(error, match=message):
        trained({"responses": responses, "features": features})
