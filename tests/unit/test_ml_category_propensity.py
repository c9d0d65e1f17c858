"""Category propensity: learned from what had ended, a score everywhere, refusals by name."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from ml.category_propensity import (
    FEATURES,
    CategorySettings,
    _matrix,
    train_category_propensity,
)
from ml.errors import BadFeature, NotEnoughHistory, OneClassLabel, RepeatedCustomer

TODAY = dt.date(2024, 6, 30)
SHELVES = ("bread", "fish", "tea")


def company(customers: int = 150, snapshots: int = 5) -> dict[str, pl.DataFrame]:
    """Everybody has a shelf it keeps to; today's outcome is not known yet."""
    random = np.random.default_rng(3)
    windows, features = [], []
    for number in range(snapshots):
        day = TODAY - dt.timedelta(28 * number)
        for customer in range(customers):
            name = f"c{customer:03}"
            features.append((name, day, int(random.integers(1, 60)), 300, 2, 6))
            for place, shelf in enumerate(SHELVES):
                likes = 0.8 if place == customer % 3 else 0.1
                past, bought = random.random() < likes, bool(random.random() < likes)
                if past or bought:
                    days = int(random.integers(1, 5)) if past else 0
                    recency = int(random.integers(0, 90)) if past else None
                    outcome = bought if number else None
                    windows.append((name, day, shelf, days, 3.0 * days, 0.5, recency, outcome))
    return {
        "windows": pl.DataFrame(
            windows,
            schema=[
                ("customer_id", pl.String),
                ("as_of_date", pl.Date),
                ("department", pl.String),
                ("purchase_day_count_90d", pl.Int64),
                ("spend_amount_90d", pl.Float64),
                ("spend_share_90d", pl.Float64),
                ("recency_days", pl.Int64),
                ("is_bought", pl.Boolean),
            ],
            orient="row",
        ),
        "features": pl.DataFrame(
            features,
            schema=[
                "customer_id",
                "as_of_date",
                "recency_days",
                "tenure_days",
                "order_count_28d",
                "order_count_90d",
            ],
            orient="row",
        ),
    }


def test_every_customer_has_a_score_for_every_department_and_the_liked_one_is_first() -> None:
    model = train_category_propensity(**company(), settings=CategorySettings(customers_at_once=40))
    rows = pl.concat(model.lists())
    assert rows.height == 150 * 3
    assert rows["purchase_score"].is_between(0, 1).all()
    liked = pl.col("customer_id").str.slice(1).cast(pl.Int64) % 3
    first = rows.sort("purchase_score", descending=True).unique("customer_id", keep="first")
    hit = first.select(
        (pl.col("department") == pl.Series(SHELVES).gather(first.select(liked).to_series())).mean()
    )
    assert hit.item() > 0.7
    assert model.metrics["intervals"]["model"]["roc_auc"][0] > 0.7
    # Near a half where it was bought from a half of the time: calibrated.
    assert rows["purchase_score"].mean() == pytest.approx(1 / 3, abs=0.06)


def test_a_label_that_ends_after_the_cut_off_teaches_nothing() -> None:
    data = company()
    last = TODAY - dt.timedelta(28)
    flipped = data["windows"].with_columns(
        is_bought=pl.when(pl.col("as_of_date") == last)
        .then(~pl.col("is_bought"))
        .otherwise("is_bought")
    )
    settings = CategorySettings(cut_offs=2)
    one = train_category_propensity(**data, settings=settings)
    other = train_category_propensity(flipped, data["features"], settings=settings)
    before = [m.metrics["cut_offs"][1]["intervals"]["model"] for m in (one, other)]
    assert one.metrics["cut_offs"][1]["as_of_date"] == "2024-05-05"
    assert before[0] == before[1]


def test_what_was_not_bought_is_filled_in() -> None:
    grid = pl.DataFrame({name: [-2.0, 1.0] for name in FEATURES})
    assert np.isfinite(_matrix(grid)).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda w, f: (w.head(0), f), NotEnoughHistory, "0 customers, 50 needed"),
        (lambda w, f: (w.filter(pl.col("customer_id") == "c001"), f), NotEnoughHistory, "1 cust"),
        (
            lambda w, f: (w.filter(pl.col("as_of_date") >= TODAY - dt.timedelta(28)), f),
            NotEnoughHistory,
            "1 finished snapshot",
        ),
        (
            lambda w, f: (w.with_columns(is_bought=pl.col("is_bought") & False), f),
            OneClassLabel,
            "same outcome",
        ),
        (
            lambda w, f: (w.with_columns(spend_amount_90d=pl.lit(float("nan"))), f),
            BadFeature,
            "spend_amount_90d",
        ),
        (lambda w, f: (w, pl.concat([f, f.head(1)])), RepeatedCustomer, "rows repeat"),
    ],
)
def test_bad_input_is_refused_by_name(change, error: type, message: str) -> None:
    data = company()
    windows, features = change(data["windows"], data["features"])
    with pytest.raises(error, match=message):
        train_category_propensity(windows, features)
