"""Reasons: they sum to the score, name what matters, and are words."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from test_ml_churn import NEWEST, POLICIES, QUICK, simulated, train_and_score, two_worlds

from ml.averaged_pair import AveragedPair, PairSettings
from ml.churn import FEATURES
from ml.explanation import LOWERS, RAISES, contributions_by_theme, explain, theme_of


@pytest.fixture(scope="module")
def churn():
    features, labels, _ = simulated()
    return features.filter(pl.col("as_of_date") == NEWEST), train_and_score(
        features, labels, settings=QUICK
    )


def test_what_features_add_sums_to_the_score(churn):
    newest, result = churn
    model = result.model
    start, added = model.contributions(model.matrix(newest))
    summed = start + added.sum(axis=1)
    assert np.abs(summed - model.log_odds(newest)).max() < 1e-9
    assert np.abs(1 / (1 + np.exp(-summed)) - model.score(newest)).max() < 1e-9
    begin, by_theme = contributions_by_theme(model, newest)
    assert np.abs(begin + by_theme.sum_horizontal().to_numpy() - summed).max() < 1e-9
    assert (start == start[0]).all()


def test_they_sum_where_segments_have_their_own_model():
    features, labels = two_worlds()
    stumps = PairSettings(boosting_rounds=10, boosting_leaves=2, boosting_feature_share=1.0)
    model = train_and_score(
        features, labels, settings=replace(QUICK, pair=stumps, segments=2)
    ).model
    assert model.specialists
    newest = features.filter(pl.col("as_of_date") == NEWEST)
    start, added = model.contributions(model.matrix(newest))
    assert np.abs(start + added.sum(axis=1) - model.log_odds(newest)).max() < 1e-9
    assert len(np.unique(start)) == 2


def test_the_trees_share_by_shapley_values():
    """Of a product of two signs each has half, whatever the order in which trees ask."""
    draw = np.random.default_rng(3)
    matrix = np.c_[draw.integers(0, 2, 4000), draw.integers(0, 2, 4000), np.zeros(4000)]
    outcome = (draw.random(4000) < np.where(matrix[:, 0] * matrix[:, 1] == 1, 0.9, 0.1)).astype(int)
    pair = AveragedPair.fit(
        matrix, outcome, ("a", "b", "idle"), PairSettings(boosting_rounds=60), 1
    )
    start, added = pair.contributions(matrix, ("a", "b", "idle"))
    assert (
        np.abs(start + added.sum(axis=1) - pair.log_odds(matrix, ("a", "b", "idle"))).max() < 1e-9
    )
    both = (matrix[:, :2] == 1).all(axis=1)
    assert added[both, 0].mean() == pytest.approx(added[both, 1].mean(), rel=0.1)
    assert (added[:, 2] == 0).all()


def test_the_strongest_subject_comes_first_with_its_direction(churn):
    newest, result = churn
    _, by_theme = contributions_by_theme(result.model, newest)
    values = by_theme.to_numpy()
    strongest = np.abs(values).argmax(axis=1)
    assert by_theme.columns[np.bincount(strongest).argmax()] == "rhythm"
    direction = np.where(values[np.arange(len(values)), strongest] > 0, RAISES, LOWERS)
    reason = result.scores["reason_1"]
    assert all(text.endswith(f"({way})") for text, way in zip(reason, direction, strict=True))
    for row in result.scores.select("reason_1", "reason_2", "reason_3").rows():
        assert len(set(row)) == 3


class Planted:
    """A model of known contributions."""

    features = ("mean_gap_days", "recency_days", "order_count_90d", "colour_count")

    def matrix(self, frame):
        return frame.select(self.features).fill_null(0).to_numpy()

    def contributions(self, matrix):
        added = np.tile([0.5, 0.4, -0.7, 0.0], (len(matrix), 1))
        return np.zeros(len(matrix)), added


def test_the_words_are_plain():
    frame = pl.DataFrame(
        {
            "mean_gap_days": [12.2, None],
            "recency_days": [41, 1],
            "order_count_90d": [1, 7],
            "order_count_28d": [0, 7],
            "colour_count": [2, 2],
        }
    )
    reasons, importance = explain(Planted(), frame, chunk_rows=1)
    assert reasons.rows() == [
        (
            "bought every 12 days, last order 41 days ago (raises the risk)",
            "1 order in 90 days, 0 in the last 28 (lowers the risk)",
            None,
        ),
        (
            "last order 1 day ago (raises the risk)",
            "7 orders in 90 days, 7 in the last 28 (lowers the risk)",
            None,
        ),
    ]
    assert importance.rows() == [
        ("order_count_90d", "orders", 0.7, 0.4375),
        ("mean_gap_days", "rhythm", 0.5, 0.3125),
        ("recency_days", "rhythm", 0.4, 0.25),
        ("colour_count", "colour_count", 0.0, 0.0),
    ]


def test_nothing_is_said_of_nothing():
    frame = pl.DataFrame(
        {"mean_gap_days": [9], "recency_days": [0], "order_count_90d": [0], "colour_count": [1]}
    )
    assert explain(Planted(), frame)[0].row(0)[:2] == (
        "bought every 9 days, last order today (raises the risk)",
        "no order in 90 days (lowers the risk)",
    )


def test_no_customer_needs_no_reason():
    reasons, importance = explain(Planted(), pl.DataFrame(schema=dict.fromkeys(Planted.features)))
    assert reasons.is_empty()
    assert importance["mean_log_odds"].to_list() == [0, 0, 0, 0]


def test_every_feature_belongs_to_a_subject_with_words_for_it():
    for feature in FEATURES:
        assert theme_of(feature).name != feature, f"no subject for {feature}"
    named = {column for feature in FEATURES for column, _ in theme_of(feature).words}
    assert named <= set(POLICIES)


def test_global_importance_is_over_all_customers(churn):
    _, result = churn
    assert result.importance["feature"][0] in ("recency_over_mean_gap", "recency_days")
    assert result.importance["share"].sum() == pytest.approx(1, abs=1e-4)
    assert result.importance.height == len(FEATURES)
