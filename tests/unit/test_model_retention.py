"""Former models: what a way back and a gate need stays, the rest is forgotten everywhere."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from dagster_project.assets.retention import forget_old
from dagster_project.resources import Write, warehouse_of
from dagster_project.settings import Settings, SettingsError
from dagster_project.tables import LIFETIME_VALUES, MODEL_RUNS, Table

FIRST = date(2026, 1, 1)
NAME = "lifetime_value_28d"


def rows(table: Table, *known: dict) -> pl.DataFrame:
    """Rows of a table, null where nothing is said."""
    empty = dict.fromkeys(column.name for column in table.columns)
    return pl.DataFrame([empty | one for one in known], infer_schema_length=None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Eight days with a run each; the second followed the first and serves until the fifth day."""
    settings = Settings(home=tmp_path, kept_runs=2)
    warehouse = warehouse_of(settings)
    warehouse.ensure_tables()
    days = [FIRST + timedelta(number) for number in range(8)]
    with warehouse.connect() as connection:
        connection.execute("create schema raw")
        connection.execute(f"create table raw.as_of as select date '{days[-1]}' as as_of_date")
    runs = [
        {"model_run_id": f"r{number}", "model_name": NAME, "is_champion": number == 1}
        | {"followed_run_id": "r0" if number == 1 else None}
        for number in range(8)
    ]
    other = {"model_run_id": "other", "model_name": "churn_scores", "is_champion": False}
    scored = [
        {"customer_id": "c", "as_of_date": day, "horizon_days": days_ahead, "model_run_id": run}
        for number, day in enumerate(days)
        for days_ahead, run in ((28, "r4" if number >= 6 else "r1"), (90, "other"))
    ]
    warehouse.write(
        Write(MODEL_RUNS, rows(MODEL_RUNS, *runs, other)),
        Write(LIFETIME_VALUES, rows(LIFETIME_VALUES, *scored)),
    )
    folder = settings.models_dir / NAME
    folder.mkdir(parents=True)
    for name in [*(run["model_run_id"] for run in runs), "left_by_a_kill"]:
        (folder / f"{name}.skops").touch()
    return settings


def test_the_champion_the_one_before_the_latest_and_the_named_are_kept(settings: Settings) -> None:
    warehouse = warehouse_of(settings)
    forget_old(settings, warehouse, LIFETIME_VALUES, NAME, {"horizon_days": 28})
    kept = {"r0", "r1", "r4", "r6", "r7"}
    known = warehouse.read("ml.model_runs")["model_run_id"]
    assert set(known) == kept | {"other"}
    assert {path.stem for path in (settings.models_dir / NAME).iterdir()} == kept
    left = warehouse.read(
        "select horizon_days, count(*), min(as_of_date) from ml.lifetime_values "
        "group by all order by all"
    )
    assert left.rows() == [(28, 2, FIRST + timedelta(6)), (90, 8, FIRST)]


def test_a_replayed_day_keeps_its_own_rows(settings: Settings) -> None:
    warehouse = warehouse_of(settings)
    with warehouse.connect() as connection:
        connection.execute(f"update raw.as_of set as_of_date = date '{FIRST}'")
    forget_old(settings, warehouse, LIFETIME_VALUES, NAME, {"horizon_days": 28})
    days = warehouse.read(
        "select as_of_date from ml.lifetime_values where horizon_days = 28 order by all"
    )
    assert days["as_of_date"].to_list() == [FIRST + timedelta(number) for number in (0, 6, 7)]


@pytest.mark.parametrize("text", ["0", "-3", "many"])
def test_a_number_of_runs_that_keeps_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=f"DSEGMENT_KEPT_RUNS is '{text}'; write how many runs"):
        Settings.from_environment({"DSEGMENT_KEPT_RUNS": text})
    assert Settings.from_environment({"DSEGMENT_KEPT_RUNS": "3"}).kept_runs == 3
