"""A model that the data cannot carry: named, the last rows stay, and segments go by them."""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from dagster_project.assets.churn import churn_asset
from dagster_project.assets.model_runs import outcome
from dagster_project.assets.segments import VALUES_AHEAD, last_said
from dagster_project.resources import Warehouse, Write, warehouse_of
from dagster_project.settings import Settings
from dagster_project.tables import CHURN_SCORES, LIFETIME_VALUES, Table
from ml.churn import FEATURES, train_and_score

TODAY = date(2026, 6, 28)
YESTERDAY = TODAY - timedelta(1)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Twelve customers of one day, too few to model, and what models said the day before."""
    warehouse = warehouse_of(Settings(home=tmp_path))
    warehouse.ensure_tables()
    columns = ", ".join(f"1.0 as {name}" for name in FEATURES)
    with warehouse.connect() as connection:
        connection.execute("create schema raw; create schema marts")
        connection.execute(f"create table raw.as_of as select date '{TODAY}' as as_of_date")
        connection.execute(
            "create table marts.mart_customer_features as select 'c' || n as customer_id, "
            f"date '{TODAY}' as as_of_date, {columns} from range(12) as numbers(n)"
        )
        connection.execute(
            "create table marts.mart_churn_labels as select customer_id, as_of_date, as_of_date "
            "as label_until_date, true as is_churned from marts.mart_customer_features limit 0"
        )
    warehouse.write(
        said(CHURN_SCORES, churn_score=0.25),
        said(LIFETIME_VALUES, horizon_days=28, expected_value_amount=9.0),
    )
    return warehouse


def said(table: Table, **values: object) -> Write:
    """A row of yesterday about one customer."""
    row = dict.fromkeys(column.name for column in table.columns)
    row |= {"customer_id": "c1", "as_of_date": YESTERDAY, "model_run_id": "run"} | values
    return Write(table, pl.DataFrame([row]))


def test_a_refused_churn_model_is_named_and_leaves_the_last_scores(warehouse: Warehouse) -> None:
    settings = Settings(home=Path(warehouse.home))
    before = warehouse.read("ml.churn_scores")
    run = dg.materialize(
        [churn_asset(settings, train_and_score)], resources={"warehouse": warehouse}
    )

    reason = "not enough history: no snapshot has a complete label yet"
    (event,) = run.asset_materializations_for_node("churn_scores")[-1:]
    assert event.metadata["refused"].value == reason
    assert warehouse.read("ml.model_refusals").rows() == [("churn_scores", TODAY, reason)]
    (check,) = run.get_asset_check_evaluations()
    assert check.description == f"No model could be judged: {reason}."
    assert warehouse.read("ml.churn_scores").equals(before)
    assert not settings.models_dir.exists()

    warehouse.write(outcome("churn_scores", TODAY))  # as every model does that could be made
    assert warehouse.read("ml.model_refusals").is_empty()


def test_segments_go_by_what_a_model_said_last(warehouse: Warehouse) -> None:
    for rows in ("ml.churn_scores", VALUES_AHEAD):
        assert last_said(warehouse, rows, TODAY)["as_of_date"].to_list() == [YESTERDAY]
        assert last_said(warehouse, rows, YESTERDAY - timedelta(1)).is_empty()
    # What another horizon said today does not stand in for this one.
    later = {"as_of_date": TODAY, "horizon_days": 90, "expected_value_amount": 20.0}
    known = warehouse.read("ml.lifetime_values")
    both = pl.concat([known, said(LIFETIME_VALUES, **later).rows], how="vertical_relaxed")
    warehouse.write(Write(LIFETIME_VALUES, both))
    last = last_said(warehouse, VALUES_AHEAD, TODAY)
    assert last.select("as_of_date", "expected_value_amount").rows() == [(YESTERDAY, 9.0)]
