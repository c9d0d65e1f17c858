"""The record of a run: one identity for one set of ingredients, JSON that any reader takes."""

import datetime as dt
import json
import subprocess
import sys

import numpy as np
import pytest

from ml.model_runs import ModelRun

INGREDIENTS = {
    "model_name": "churn",
    "as_of_date": dt.date(2026, 3, 31),
    "data_version": "v1",
    "features": ["a", "b"],
    "parameters": {"seed": 1, "rate": 0.05},
    "code_version": "churn-1",
}


def run(**changes) -> ModelRun:
    return ModelRun.of(**{**INGREDIENTS, "metrics": {"roc_auc": 0.8}, **changes})


def test_the_identity_is_the_ingredients_and_only_they():
    assert run().model_run_id == "8a8c07ee02e1673c"
    assert run(parameters={"rate": 0.05, "seed": 1}).model_run_id == run().model_run_id
    assert run(metrics={}, artifact_path="models/x").model_run_id == run().model_run_id


@pytest.mark.parametrize(
    "change",
    [
        {"model_name": "clusters"},
        {"as_of_date": dt.date(2026, 4, 1)},
        {"data_version": "v2"},
        {"features": ["b", "a"]},
        {"parameters": {"seed": 2, "rate": 0.05}},
        {"code_version": "churn-2"},
    ],
)
def test_any_other_ingredient_is_another_run(change):
    assert run(**change).model_run_id != run().model_run_id


def test_the_row_is_json_without_nan():
    figures = {"brier": np.float64(0.12345678), "n": np.int64(3), "none": float("nan")}
    row = run(metrics={**figures, "table": [{"day": dt.date(2026, 1, 1)}]}).as_row()
    assert json.loads(row["metrics"]) == {
        "brier": 0.123457,
        "n": 3,
        "none": None,
        "table": [{"day": "2026-01-01"}],
    }
    assert json.loads(row["features"]) == ["a", "b"]
    assert row["as_of_date"] == dt.date(2026, 3, 31)


def test_importing_the_room_does_not_load_scikit_learn():
    code = (
        "import sys, ml.artifacts, ml.churn, ml.clustering, ml.model_runs, ml.naming;"
        "print([m for m in ('sklearn', 'skops', 'scipy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
