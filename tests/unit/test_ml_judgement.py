"""Judgement: the measures of scikit-learn, honest intervals, paired gains."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from ml.judgement import CutOff, calibration_table, judge, judge_cut_offs


@pytest.mark.parametrize("digits", [1, 2, 9])
def test_the_measures_are_those_of_scikit_learn_with_and_without_ties(digits):
    draw = np.random.default_rng(digits)
    outcome = draw.integers(0, 2, 500)
    score = np.clip(0.3 * outcome + 0.7 * draw.random(500), 0, 1).round(digits)
    assert judge(outcome, score) == pytest.approx(
        {
            "roc_auc": roc_auc_score(outcome, score),
            "pr_auc": average_precision_score(outcome, score),
            "brier": brier_score_loss(outcome, score),
        }
    )


def cut_off(seed: int, customers: int = 400, noise: float = 1.0) -> CutOff:
    draw = np.random.default_rng(seed)
    chance = draw.random(customers)
    odds = np.log(chance / (1 - chance))
    return CutOff(
        pl.Series([f"c{number}" for number in range(customers)]),
        (draw.random(customers) < chance).astype(int),
        {
            "model": chance,
            "noisy": 1 / (1 + np.exp(-odds - draw.normal(0, noise, customers))),
            "same": chance,
        },
    )


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    large = cut_off(0, 200_000)
    truth = judge(large.outcome, large.scores["model"])["roc_auc"]
    found = [judge_cut_offs([cut_off(seed)], seed=seed, draws=150)[1] for seed in range(1, 51)]
    inside = [one.figures["model"]["roc_auc"] for one in found]
    assert 0.85 <= np.mean([one.low <= truth <= one.high for one in inside]) <= 1.0


def test_a_gain_is_paired_and_its_sign_means_better():
    _, judged = judge_cut_offs([cut_off(3, 2000)], seed=1)
    assert judged.gains["noisy"]["roc_auc"].is_above_zero
    assert judged.gains["noisy"]["brier"].is_above_zero, "a lower squared error is a gain"
    same = judged.gains["same"]["pr_auc"]
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert not same.is_above_zero
    assert not same.is_below_zero


def test_a_customer_is_drawn_with_all_of_its_cut_offs():
    one = cut_off(5)
    _, once = judge_cut_offs([one], seed=2)
    _, thrice = judge_cut_offs([one, one, one], seed=2)
    one, three = (judged.figures["model"]["pr_auc"] for judged in (once, thrice))
    assert (three.low, three.high) == pytest.approx((one.low, one.high)), "copies are no evidence"


def test_one_class_has_no_ranking_but_an_error():
    rows = cut_off(1)
    all_stayed = CutOff(rows.customers, np.zeros(400, dtype=int), rows.scores)
    _, judged = judge_cut_offs([all_stayed], seed=1)
    assert np.isnan(judged.figures["model"]["roc_auc"].value)
    assert judged.figures["model"]["brier"].low > 0


def test_the_calibration_table_says_what_happened():
    table = calibration_table(np.array([0, 1, 1, 1, 0, 0]), np.array([0.05, 0.95, 1, 0.9, 0, 0.01]))
    assert table.rows() == [(0.0, 0.1, 3, 0.02, 0.0), (0.9, 1.0, 3, 0.95, 1.0)]
