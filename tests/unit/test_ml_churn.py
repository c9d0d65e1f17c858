"""Churn: no look ahead, better than recency alone where it can be, named refusals."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from ml.churn import (
    FEATURES,
    ChurnSettings,
    calibration_table,
    fit,
    judge,
    split_by_time,
    train_and_score,
)
from ml.errors import (
    BadFeature,
    CustomersAlike,
    LeakedLabel,
    NotEnoughHistory,
    OneClassLabel,
    RepeatedCustomer,
)

NEWEST = dt.date(2026, 6, 28)
QUICK = ChurnSettings(boosting_rounds=40, boosting_leaf_customers=20)
NO_GAP = ("mean_gap_days", "gap_deviation_days", "recency_over_mean_gap")


def simulated(
    customers: int = 600, snapshots: int = 5, step_days: int = 28, seed: int = 5
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Churn hangs on recency relative to each customer's own rhythm, which recency alone misses.

    Returns features, labels and the true probabilities.
    """
    draw = np.random.default_rng(seed)
    features, labels, truth = [], [], []
    for number in range(snapshots):
        as_of = NEWEST - dt.timedelta(days=step_days * number)
        gap = draw.lognormal(2.5, 1.2, customers)
        overdue = draw.gamma(1.2, 1.0, customers)
        chance = 1 / (1 + np.exp(3.2 - 1.2 * overdue))
        columns = {name: draw.poisson(3, customers).astype(float) for name in FEATURES}
        columns |= {
            "recency_days": np.round(gap * overdue),
            "tenure_days": 400 + 10 * gap,
            "mean_gap_days": gap,
            "recency_over_mean_gap": overdue,
            "spend_amount_7d": draw.normal(0, 40, customers),  # returns can outweigh purchases
            "return_count_365d": np.zeros(customers),  # a shop that takes nothing back
        }
        key = {
            "customer_id": [f"c{i:05d}" for i in range(customers)],
            "as_of_date": [as_of] * customers,
        }
        single = pl.int_range(customers) % 10 == 0
        features.append(
            pl.DataFrame(key | columns).with_columns(
                pl.when(~single).then(pl.col(name)).alias(name) for name in NO_GAP
            )
        )
        truth.append(pl.DataFrame(key | {"chance": chance}))
        until = as_of + dt.timedelta(days=28)
        if until <= NEWEST:
            churned = draw.random(customers) < chance
            labels.append(
                pl.DataFrame(key | {"label_until_date": [until] * customers, "is_churned": churned})
            )
    return pl.concat(features), pl.concat(labels), pl.concat(truth)


def test_beats_recency_only_and_comes_near_the_truth():
    features, labels, truth = simulated(customers=1500)
    result = train_and_score(features, labels)
    assert result.holdout_date == NEWEST - dt.timedelta(days=28)
    assert result.metrics["model"]["roc_auc"] > result.metrics["recency_only"]["roc_auc"] + 0.03
    assert result.metrics["model"]["pr_auc"] > result.metrics["recency_only"]["pr_auc"] + 0.03
    known = labels.join(truth, on=["customer_id", "as_of_date"]).filter(
        pl.col("as_of_date") == result.holdout_date
    )
    best = judge(known["is_churned"].to_numpy().astype(int), known["chance"].to_numpy())
    assert result.metrics["model"]["brier"] < best["brier"] + 0.015

    newest = result.scores.join(
        truth.filter(pl.col("as_of_date") == NEWEST), on="customer_id", validate="1:1"
    )
    assert newest.height == 1500, "every customer is scored, also who bought once"
    assert (newest["churn_score"] - newest["chance"]).abs().mean() < 0.07
    assert newest["churn_score"].mean() == pytest.approx(newest["chance"].mean(), abs=0.03)
    assert result.metrics["unused_features"] == ["return_count_365d"]
    assert result.lift["lift"][0] > 2
    assert result.lift["captured_share"][-1] == pytest.approx(1)


def test_a_training_row_that_knows_too_much_is_refused():
    features, labels, _ = simulated()
    rows = features.join(labels, on=["customer_id", "as_of_date"])
    cut = NEWEST - dt.timedelta(days=28)
    with pytest.raises(LeakedLabel, match=r"600 training row.*learn what it is asked"):
        fit(rows, known_until=cut, settings=QUICK)
    with pytest.raises(LeakedLabel, match="nobody can know them yet"):
        train_and_score(features, labels.with_columns(label_until_date=NEWEST + dt.timedelta(1)))


def test_labels_that_overlap_the_holdout_cannot_move_its_judgement():
    features, labels, _ = simulated(snapshots=8, step_days=14)
    result = train_and_score(features, labels, settings=QUICK)
    assert result.metrics["overlapping_row_count"] == 600
    overlapping = (result.holdout_date - dt.timedelta(days=14)).isoformat()
    assert overlapping not in result.metrics["training_snapshots"]

    held_out = pl.col("as_of_date") == result.holdout_date
    reaches_over = (pl.col("label_until_date") > result.holdout_date) & ~held_out
    lies = labels.with_columns(is_churned=pl.col("is_churned") ^ reaches_over)
    assert not lies.equals(labels)
    again = train_and_score(features, lies, settings=QUICK)
    assert again.metrics["model"] == result.metrics["model"]

    flipped = labels.with_columns(is_churned=pl.col("is_churned") ^ held_out)
    blind = train_and_score(features, flipped, settings=QUICK)
    assert blind.lift["mean_churn_score"].equals(result.lift["mean_churn_score"]), (
        "neither fit nor calibration may look at the holdout's labels"
    )


def test_row_order_changes_nothing():
    features, labels, _ = simulated(customers=300)
    first = train_and_score(features, labels, settings=QUICK)
    second = train_and_score(
        features.sample(fraction=1, shuffle=True, seed=2),
        labels.sample(fraction=1, shuffle=True, seed=3),
        settings=QUICK,
    )
    assert first.scores.equals(second.scores)
    assert first.metrics == second.metrics


def test_training_samples_whole_customers_and_scoring_does_not_sample():
    features, labels, _ = simulated()
    settings = ChurnSettings(
        boosting_rounds=20,
        boosting_leaf_customers=20,
        most_training_rows=700,
        scoring_chunk_rows=97,
    )
    sampled = train_and_score(features, labels, settings=settings)
    assert sampled.scores.height == 600
    assert sampled.metrics["model"]["roc_auc"] > 0.6


def test_calibration_cures_an_overconfident_learner_without_the_holdout():
    features, labels, _ = simulated()
    rows = features.join(labels, on=["customer_id", "as_of_date"])
    _, train, holdout, _ = split_by_time(rows)
    cut = NEWEST - dt.timedelta(days=28)
    greedy = ChurnSettings(
        boosting_rounds=60, boosting_learning_rate=0.3, boosting_leaf_customers=2
    )
    calibrated = fit(train, known_until=cut, settings=greedy)
    raw = fit(train, known_until=cut, settings=greedy, line=(1.0, 0.0))
    outcome = holdout["is_churned"].to_numpy().astype(int)
    assert 0.2 < calibrated.calibration_slope < 0.9, "overconfident scores are drawn to the middle"
    briers = [judge(outcome, model.score(holdout))["brier"] for model in (calibrated, raw)]
    assert briers[0] < briers[1]


def test_the_calibration_table_says_what_happened():
    table = calibration_table(np.array([0, 1, 1, 1, 0, 0]), np.array([0.05, 0.95, 1, 0.9, 0, 0.01]))
    assert table.rows() == [(0.0, 0.1, 3, 0.02, 0.0), (0.9, 1.0, 3, 0.95, 1.0)]


def with_value(name: str, value: float | None, rows: int = 7):
    def spoil(features, labels):
        chosen = pl.int_range(pl.len()) < rows
        return features.with_columns(
            pl.when(chosen).then(pl.lit(value, dtype=pl.Float64)).otherwise(name).alias(name)
        ), labels

    return spoil


def alike(features, labels):
    return features.with_columns(pl.lit(1.0).alias(name) for name in FEATURES), labels


def one_class(value: bool):
    return lambda f, y: (f, y.with_columns(is_churned=pl.lit(value)))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda f, y: (f.filter(pl.col("customer_id") < "c00012"), y),
            NotEnoughHistory,
            "not enough history: 12 customers, 50 needed",
        ),
        (
            lambda f, y: (f.filter(pl.col("customer_id") == "c00001"), y),
            NotEnoughHistory,
            "1 customers, 50 needed",
        ),
        (lambda f, y: (f.clear(), y.clear()), NotEnoughHistory, "0 customers"),
        (lambda f, y: (f, y.clear()), NotEnoughHistory, "no snapshot has a complete label"),
        (
            lambda f, y: (f, y.filter(pl.col("as_of_date") == pl.col("as_of_date").max())),
            NotEnoughHistory,
            r"1 labelled snapshot\(s\).*at least two",
        ),
        (one_class(True), OneClassLabel, "churned: nothing to tell apart"),
        (one_class(False), OneClassLabel, "stayed: nothing to tell apart"),
        (with_value("recency_days", float("nan")), BadFeature, "recency_days is NaN .* 7 row"),
        (with_value("mean_gap_days", float("inf")), BadFeature, "mean_gap_days is NaN or inf"),
        (with_value("order_count_28d", None), BadFeature, "order_count_28d is empty in 7 row"),
        (lambda f, y: (f.drop("store_count_90d"), y), BadFeature, "lacks .* store_count_90d"),
        (lambda f, y: (pl.concat([f, f.head(3)]), y), RepeatedCustomer, "features .* 3"),
        (alike, CustomersAlike, "all 600 customers are alike"),
    ],
)
def test_bad_input_has_a_named_outcome(spoil, error, message):
    features, labels, _ = simulated(snapshots=3)
    with pytest.raises(error, match=message):
        train_and_score(*spoil(features, labels), settings=QUICK)
