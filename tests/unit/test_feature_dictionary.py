"""The policy, the mart's columns and the generated dictionary say the same."""

import math
from pathlib import Path

import polars as pl
import pytest
import yaml

from dagster_project.feature_dictionary import (
    DOCUMENT,
    KEYS,
    as_markdown,
    distributions_in,
    feature_dictionary,
    feature_metadata,
    feature_policies,
    mart_columns,
)
from dagster_project.settings import PROJECT_DIR
from ml.errors import BadFeature
from ml.feature_policy import PolicyError, filled, read_policies

MODELS = PROJECT_DIR / "dbt" / "models"


def declared_columns() -> set[str]:
    columns = set()
    for path in (*MODELS.glob("marts/**/*.yml"), *MODELS.glob("intermediate/**/*.yml")):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            columns |= {f"{model['name']}.{column['name']}" for column in model.get("columns", [])}
    return columns


def test_every_feature_has_a_policy_and_every_policy_a_feature() -> None:
    assert set(feature_policies()) == set(mart_columns()) - set(KEYS)


def test_features_are_counted_from_columns_that_there_are() -> None:
    named = {column for policy in feature_policies().values() for column in policy.source_columns}
    assert named <= declared_columns()


def test_a_column_is_full_by_contract_exactly_where_the_policy_says_never() -> None:
    columns = mart_columns()
    for name, policy in feature_policies().items():
        is_full = {"type": "not_null"} in columns[name].get("constraints", [])
        assert is_full == (policy.missing == "never"), name


def test_the_dictionary_is_what_the_generator_writes() -> None:
    document = (PROJECT_DIR / DOCUMENT).read_text()
    features = feature_dictionary(distributions=distributions_in(document))
    assert document == as_markdown(features), (
        "write it again: python -m dagster_project.feature_dictionary"
    )
    unmeasured = {feature.policy.name for feature in features if not feature.distribution}
    assert unmeasured <= {
        name for name, policy in feature_policies().items() if policy.missing == "unusable"
    } | {"order_count_season_28d", "spend_amount_season_28d"}


def test_the_metadata_has_a_line_for_each_feature() -> None:
    features = feature_dictionary()
    metadata = feature_metadata(features)
    assert metadata["feature_count"].value == len(features)
    assert all(f"| `{feature.policy.name}` |" in metadata["features"].value for feature in features)


def policies(*entries: dict) -> dict:
    usual = {"unit": "days", "from": [], "missing": "never", "outliers": "log"}
    return read_policies({"features": [usual | entry for entry in entries]})


def test_an_empty_value_is_filled_by_what_is_filled_before_it() -> None:
    policy = policies(
        {"name": "deviation", "missing": {"as": "gap", "because": "one gap"}},
        {"name": "gap", "missing": {"as": "tenure", "because": "no gap"}},
        {"name": "tenure"},
        {"name": "stage", "missing": {"as": "none", "because": "none"}, "outliers": "category"},
    )
    frame = pl.DataFrame(
        {"tenure": [9, 8], "gap": [None, 2.5], "deviation": [None, None], "stage": [None, "cart"]},
        schema_overrides={"deviation": pl.Float64},
    )
    found = filled(frame, ["deviation", "stage"], policy)
    assert found["deviation"].to_list() == [9.0, 2.5]
    assert found["stage"].to_list() == ["none", "cart"]


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "empty in 1 row"), (math.nan, "NaN or infinity"), (math.inf, "NaN or infinity")],
)
def test_what_no_policy_covers_is_refused(value: float | None, message: str) -> None:
    frame = pl.DataFrame({"margin": [1.0, value]})
    with pytest.raises(BadFeature, match=message):
        filled(frame, ["margin"], policies({"name": "margin", "missing": "unusable"}))


def test_a_policy_for_an_absent_column_is_refused_by_name() -> None:
    with pytest.raises(BadFeature, match="no such column: tenure"):
        filled(pl.DataFrame({"gap": [1.0]}), ["tenure"], policies({"name": "tenure"}))
    with pytest.raises(BadFeature, match=r"features\.yml has no policy for mood"):
        filled(pl.DataFrame({"mood": [1.0]}), ["mood"], policies())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"outliers": "clip"}, "outliers: 'clip'"),
        ({"missing": "zero"}, "missing: 'zero'"),
        ({"missing": {"as": 0}}, "no 'because'"),
        ({"missing": {"as": "nothing", "because": "it"}}, "nothing, which stands in for gap"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(entry: dict, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        policies({"name": "gap", **entry})


def test_a_file_that_is_no_yaml_is_refused_by_name_and_line(tmp_path: Path) -> None:
    (tmp_path / "features.yml").write_text("features:\n  - name: gap\n   unit: days\n")
    with pytest.raises(PolicyError, match=r"features\.yml: (?s:.*)line 3"):
        feature_policies(tmp_path)
