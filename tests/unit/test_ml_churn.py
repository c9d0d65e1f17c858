"""Churn: no look ahead, better than recency alone where it can be, named refusals."""

import datetime as dt
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

import ml.churn
from ml.averaged_pair import PairSettings
from ml.churn import BASELINES, FEATURES
from ml.churn_training import ChurnSettings, split_by_time
from ml.errors import (
    BadFeature,
    CustomersAlike,
    LeakedLabel,
    NotEnoughHistory,
    OneClassLabel,
    RepeatedCustomer,
)
from ml.feature_policy import read_policies
from ml.judgement import judge
from ml.trained_on import are_in

POLICIES = read_policies(
    yaml.safe_load((Path(__file__).parents[2] / "features.yml").read_text(encoding="utf-8"))
)
train_and_score = partial(ml.churn.train_and_score, policies=POLICIES)
fit = partial(ml.churn.fit, policies=POLICIES)

NEWEST = dt.date(2026, 6, 28)
QUICK = ChurnSettings(
    pair=PairSettings(boosting_rounds=40, boosting_leaf_rows=20), cut_offs=2, segments=0
)
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
    assert blind.lift["mean_score"].equals(result.lift["mean_score"]), (
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
    settings = replace(QUICK, most_training_rows=700, scoring_chunk_rows=97)
    sampled = train_and_score(features, labels, settings=settings)
    assert sampled.scores.height == 600
    assert sampled.metrics["model"]["roc_auc"] > 0.6


def test_calibration_cures_an_overconfident_learner_without_the_holdout():
    features, labels, _ = simulated(snapshots=6)
    rows = features.join(labels, on=["customer_id", "as_of_date"])
    _, train, holdout, _ = split_by_time(rows)
    cut = NEWEST - dt.timedelta(days=28)
    greedy = ChurnSettings(
        pair=PairSettings(
            inverse_penalty=1e4,
            boosting_rounds=200,
            boosting_learning_rate=0.3,
            boosting_leaf_rows=2,
            boosting_leaves=31,
            boosting_penalty=0.0,
        )
    )
    calibrated = fit(train, known_until=cut, settings=greedy)
    raw = fit(train, known_until=cut, settings=greedy, line=(1.0, 0.0))
    outcome = holdout["is_churned"].to_numpy().astype(int)
    assert 0.2 < calibrated.calibration_slope < 0.9, "overconfident scores are drawn to the middle"
    briers = [judge(outcome, model.score(holdout))["brier"] for model in (calibrated, raw)]
    assert briers[0] < briers[1]


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
        (with_value("recency_days", float("nan")), BadFeature, "recency_days holds NaN or inf"),
        (with_value("mean_gap_days", float("inf")), BadFeature, "mean_gap_days holds NaN or inf"),
        (with_value("order_count_28d", None), BadFeature, "order_count_28d is empty in 7 row"),
        (lambda f, y: (f.drop("store_count_90d"), y), BadFeature, "lacks .* store_count_90d"),
        (lambda f, y: (pl.concat([f, f.head(3)]), y), RepeatedCustomer, "features .* 3"),
        (alike, CustomersAlike, "all 600 rows are alike"),
    ],
)
def test_bad_input_has_a_named_outcome(spoil, error, message):
    features, labels, _ = simulated(snapshots=3)
    with pytest.raises(error, match=message):
        train_and_score(*spoil(features, labels), settings=QUICK)


def test_every_feature_has_a_policy_that_a_model_can_follow():
    for name in {*FEATURES, *(name for used in BASELINES.values() for name in used)}:
        assert POLICIES[name].missing in ("never", "filled"), name
        assert not POLICIES[name].is_category, name


def test_figures_come_with_intervals_and_paired_gains_at_every_cut_off():
    features, labels, _ = simulated(customers=800, snapshots=6)
    metrics = train_and_score(features, labels, settings=replace(QUICK, cut_offs=3)).metrics
    days = [cut_off["as_of_date"] for cut_off in metrics["cut_offs"]]
    latest = metrics["holdout_date"]
    assert days == [
        (dt.date.fromisoformat(latest) - dt.timedelta(28 * back)).isoformat() for back in range(3)
    ]
    for judged in (*metrics["cut_offs"], metrics["mean_of_cut_offs"]):
        for name in ("model", *BASELINES):
            for value, low, high in judged["intervals"][name].values():
                assert low < value < high
        assert judged["gain_over"]["recency_only"]["brier"][1] > 0
    assert metrics["model"]["roc_auc"] == metrics["intervals"]["model"]["roc_auc"][0]
    # What customers share falls out of a paired difference.
    _, low, high = metrics["gain_over"]["rfm_logistic"]["roc_auc"]
    alone = metrics["intervals"]
    widths = [alone[name]["roc_auc"][2] - alone[name]["roc_auc"][1] for name in alone]
    assert high - low < sum(widths[:2])


def test_labels_after_a_cut_off_cannot_move_its_judgement():
    features, labels, _ = simulated()
    first = train_and_score(features, labels, settings=QUICK).metrics["cut_offs"]
    earlier = dt.date.fromisoformat(first[1]["as_of_date"])
    lies = labels.with_columns(is_churned=pl.col("is_churned") ^ (pl.col("as_of_date") > earlier))
    assert train_and_score(features, lies, settings=QUICK).metrics["cut_offs"][1] == first[1]


def test_the_repurchase_score_is_the_other_side_and_every_customer_has_reasons():
    features, labels, _ = simulated()
    scores = train_and_score(features, labels, settings=QUICK).scores
    assert scores.columns == [
        "customer_id",
        "churn_score",
        "repurchase_score",
        "reason_1",
        "reason_2",
        "reason_3",
    ]
    assert (scores["churn_score"] + scores["repurchase_score"] - 1).abs().max() < 1e-9
    assert scores["reason_1"].null_count() == 0
    # What was planted: recency against one's own rhythm.
    assert scores["reason_1"].str.contains("last order").mean() > 0.8


def two_worlds(customers: int = 3000):
    """Half of the customers churn when a sign is high, the other half when it is low."""
    features, labels, _ = simulated(customers=customers, snapshots=5)
    draw = np.random.default_rng(1)
    loyal = np.arange(features.height) % 2 == 0
    sign = draw.normal(0, 1, features.height)
    chance = 1 / (1 + np.exp(-3 * np.where(loyal, sign, -sign)))
    features = features.with_columns(
        *(pl.lit(1.0).alias(name) for name in FEATURES),
    ).with_columns(
        recency_days=pl.Series(np.where(loyal, 3.0, 300.0)),
        order_count_365d=pl.Series(np.where(loyal, 40.0, 1.0)),
        spend_amount_7d=pl.Series(sign),
        churned=pl.Series(draw.random(features.height) < chance),
    )
    labels = labels.drop("is_churned").join(
        features.select("customer_id", "as_of_date", is_churned="churned"),
        on=["customer_id", "as_of_date"],
    )
    return features.drop("churned"), labels


def test_a_segment_gets_its_own_model_only_where_that_is_better():
    features, labels = two_worlds()
    stumps = PairSettings(boosting_rounds=10, boosting_leaves=2, boosting_feature_share=1.0)
    settings = replace(QUICK, pair=stumps, segments=2)
    result = train_and_score(features, labels, settings=settings)
    assert [row["is_kept"] for row in result.metrics["segment_models"]] == [True, True]
    without = train_and_score(features, labels, settings=replace(settings, segments=0))
    assert result.metrics["model"]["brier"] < without.metrics["model"]["brier"] - 0.03
    assert without.metrics["segment_models"] == []

    features, labels, _ = simulated()
    same_world = train_and_score(features, labels, settings=replace(QUICK, segments=3))
    assert not any(row["is_kept"] for row in same_world.metrics["segment_models"])
    assert not same_world.model.specialists


def test_a_model_says_whom_it_learned_from():
    features, labels, _ = simulated()
    last = labels["as_of_date"].max()
    newcomer = features.filter(pl.col("as_of_date") == NEWEST).head(1)
    newcomer = newcomer.with_columns(customer_id=pl.lit("newcomer"))
    model = train_and_score(pl.concat([features, newcomer]), labels, settings=QUICK).model
    assert are_in(model.trained_on, labels["customer_id"].unique()).all()
    assert not are_in(model.trained_on, ["newcomer", "nobody"]).any()
    assert model.trained_on.nbytes == 8 * 600
    assert model.trained_until == str(last + dt.timedelta(28))
    assert model.twin.trained_until <= str(last)


def test_one_labelled_snapshot_before_the_holdout_is_enough_to_be_calibrated():
    features, labels, _ = simulated(snapshots=3)
    result = train_and_score(features, labels, settings=QUICK)
    assert len(result.metrics["cut_offs"]) == 1
    assert result.model.twin.calibration_slope != 1


def test_a_column_of_words_is_refused():
    features, labels, _ = simulated(snapshots=3)
    worded = features.with_columns(store_count_90d=pl.lit("two"))
    with pytest.raises(BadFeature, match="not a number: store_count_90d is String"):
        train_and_score(worded, labels, settings=QUICK)
