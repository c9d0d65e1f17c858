"""Fairness: the numbers by group, and silence about groups that are too small."""

import numpy as np
import polars as pl
import pytest

from ml.errors import BadFeature
from ml.fairness import MEASURES, SCHEMA, fairness_by_group, fairness_gaps


def judged(customers: int = 1000) -> pl.DataFrame:
    """The model says of the old half what is true of them, and too little of the young half."""
    number = np.arange(customers)
    old = number % 2 == 0
    churned = np.where(old, number % 10 < 4, number % 10 < 8)
    return pl.DataFrame(
        {
            "churn_score": np.where(old, 0.5, 0.1) + number * 1e-6,
            "is_churned": churned,
            "age": np.where(old, "old", "young"),
            "region": ["north"] * (customers - 10) + ["isle"] * 10,
            "income": [None] * customers,
        },
        schema_overrides={"income": pl.String},
    )


def test_the_figures_by_group():
    table = fairness_by_group(judged(), ["age", "region", "income"])
    assert table.schema == SCHEMA
    old, young, isle, north = table.rows(named=True)
    assert (old["group_value"], old["customer_count"], old["outcome_count"]) == ("old", 500, 200)
    assert old["selection_rate"] == 0.4, "all of the selected fifth are old"
    assert old["recall"] == pytest.approx(0.4, abs=0.01)
    assert old["calibration_gap"] == pytest.approx(0.1, abs=0.001)
    assert (young["selection_rate"], young["recall"]) == (0, 0)
    assert young["calibration_gap"] == pytest.approx(0.1 - young["observed_share"], abs=0.001)
    assert north["is_judged"]
    assert not isle["is_judged"]
    assert isle["customer_count"] == 10
    assert [isle[measure] for measure in (*MEASURES, "outcome_count")] == [None] * 6


def test_the_gaps_are_between_judged_groups():
    gaps = fairness_gaps(fairness_by_group(judged(), ["age", "region"]))
    age, region = gaps.rows(named=True)
    assert age["selection_rate_gap"] == 0.4
    assert age["largest_calibration_gap"] > 0.3
    assert (region["group_count"], region["recall_gap"]) == (1, 0)


def test_a_group_without_the_outcome_has_no_recall():
    stayed = judged().with_columns(is_churned=pl.col("is_churned") & (pl.col("age") == "old"))
    young = fairness_by_group(stayed, ["age"]).row(1, named=True)
    assert young["recall"] is None
    assert young["selection_rate"] == 0


def test_bad_input_has_a_named_outcome():
    assert fairness_by_group(judged().head(0), ["age"]).is_empty()
    with pytest.raises(BadFeature, match=r"lacks the column\(s\) shoe_size"):
        fairness_by_group(judged(), ["shoe_size"])
    broken = judged().with_columns(churn_score=pl.lit(float("nan")))
    with pytest.raises(BadFeature, match="not finite in 1000 row"):
        fairness_by_group(broken, ["age"])
