"""The whole graph on a part of the published data: what it makes, keeps and refuses."""

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from pipeline import CANARY, HOUSEHOLD_MODULO, add_purchases, copied, run

from dagster_project.refresh import RefreshError
from dagster_project.resources import warehouse_of
from dagster_project.settings import Settings, SettingsError
from ml.churn import train_and_score
from simulator import complete_journey

PUBLIC = {
    "core": [
        "dim_customers",
        "dim_products",
        "fct_orders",
        "fct_order_lines",
        "fct_campaign_contacts",
        "fct_redemptions",
    ],
    "identity": ["person_identifiers"],
    "marts": ["mart_customer_rfm", "mart_cohort_retention", "mart_customer_features"],
    "ml": [
        "cluster_assignments",
        "churn_scores",
        "lifetime_values",
        "recommendations",
        "category_propensity",
        "campaign_responses",
        "model_runs",
    ],
    "segments": ["dim_segments", "segment_membership", "segment_history", "segment_scorecard"],
    "quality": ["load_ledger", "gate_results"],
}
# What a run did rather than what it made: when, in which order, under which run.
OPERATIONAL = {"quality.load_ledger", "quality.gate_results", "segments.segment_history"}


def fingerprints(settings: Settings) -> dict[str, str]:
    """A hash of each public table's rows in order."""
    found = {}
    for schema, tables in PUBLIC.items():
        for table in tables:
            name = f"{schema}.{table}"
            if name in OPERATIONAL:
                continue
            rows = warehouse_of(settings).read(f"select * from {name} order by all")
            if schema == "ml":  # these keep the scores of earlier days
                rows = rows.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
            found[name] = hashlib.sha256(rows.write_csv().encode()).hexdigest()
    return found


def members(settings: Settings) -> list[tuple]:
    return warehouse_of(settings).read("from segments.segment_membership order by all").rows()


def test_every_public_table_holds_rows(built: Settings) -> None:
    names = [f"{schema}.{table}" for schema, tables in PUBLIC.items() for table in tables]
    counts = warehouse_of(built).counts([*names, "quality.quarantine"])
    assert {name for name in names if not counts.get(name)} == set()
    assert counts["quality.quarantine"] == 0  # the published data breaks no declaration
    assert (built.reports_dir / "segment_report.html").stat().st_size > 100_000


def test_nothing_new_makes_nothing(built: Settings) -> None:
    assert run(built) == 0


def test_a_new_day_gives_the_rows_of_a_rebuild(built: Settings, tmp_path: Path) -> None:
    home = replace(built, home=tmp_path / "home")
    complete_journey.export(
        home.landing_dir, until=date(2017, 12, 30), household_modulo=HOUSEHOLD_MODULO
    )
    run(home)
    assert warehouse_of(home).as_of() == date(2017, 12, 30)
    snapshots = "from marts.mart_customer_features where as_of_date < '2017-12-30' order by all"
    known_then = warehouse_of(home).read(snapshots)
    # Yesterday's champion and clusters would serve on: which models serve depends on the past.
    with warehouse_of(home).connect() as connection:
        for table in PUBLIC["ml"]:
            connection.execute(f"delete from ml.{table}")
    shutil.copytree(built.landing_dir, home.landing_dir, dirs_exist_ok=True)
    # Two snapshots have gone without this purchase.
    late = {"basket_id": 99_000_000_002, "transaction_timestamp": "2017-10-31 12:00:00"}
    add_purchases(home, "transactions_2017-12-31c.csv", [late])
    run(home)
    assert warehouse_of(home).read(snapshots).equals(known_then)
    assert warehouse_of(home).read(
        "select order_date, known_from from core.fct_orders where known_from > order_date"
    ).rows() == [(date(2017, 10, 31), date(2017, 12, 31))]
    # The day on which it came outlives the warehouse.
    rebuilt = copied(home, tmp_path / "rebuilt")
    rebuilt.warehouse_path.unlink()
    run(rebuilt)
    assert fingerprints(home) == fingerprints(rebuilt)
    history = warehouse_of(home).read("segments.segment_history")
    assert history["valid_from"].unique().sort().to_list() == [
        date(2017, 12, 30),
        date(2017, 12, 31),
    ]


def test_a_past_day_sees_nothing_after_it_and_leaves_history_alone(
    built: Settings, tmp_path: Path
) -> None:
    past = replace(copied(built, tmp_path / "home"), as_of=date(2017, 11, 30))
    before = warehouse_of(past).read("from segments.segment_history order by all")
    run(past)
    warehouse = warehouse_of(past)
    latest = warehouse.read(
        "select max(as_of_date), min(recency_days) from marts.mart_customer_rfm"
    )
    assert latest.rows() == [(date(2017, 11, 30), 0)]
    assert warehouse.read("marts.mart_customer_features")["as_of_date"].max() == date(2017, 11, 30)
    assert warehouse.read("core.dim_customers")["last_order_date"].max() <= date(2017, 11, 30)
    assert warehouse.read("from segments.segment_history order by all").equals(before)


def test_a_fault_at_the_door_stops_the_run_and_keeps_the_segments(
    built: Settings, tmp_path: Path
) -> None:
    home = copied(built, tmp_path / "home")
    before = members(home)
    add_purchases(home, "transactions_2018-01-01.csv", [{"quantity": "many"}] * 60)
    for _ in range(2):  # also when asked again
        with pytest.raises(RefreshError, match=r"load_ledger.*latest_file_was_mostly_usable \(1\)"):
            run(home)
        assert members(home) == before


def test_a_fault_in_a_mart_stops_the_models_and_keeps_the_segments(
    built: Settings, tmp_path: Path
) -> None:
    home = copied(built, tmp_path / "home")
    before = members(home)
    dear = {"basket_id": 99_000_000_003, "sales_value": "90000000.00"}
    add_purchases(home, "transactions_2017-12-31c.csv", [dear])
    for _ in range(2):
        with pytest.raises(
            RefreshError, match=r"mart_customer_rfm.*no_customer_is_half_of_the_revenue \(1\)"
        ):
            run(home)
        assert members(home) == before


def test_a_fault_in_a_model_keeps_the_segments(built: Settings, tmp_path: Path) -> None:
    home = copied(built, tmp_path / "home")
    before = members(home)

    def all_alike(*frames: pl.DataFrame, **options: object) -> object:
        result = train_and_score(*frames, **options)
        return replace(result, scores=result.scores.with_columns(churn_score=pl.lit(0.5)))

    # A new day, since a model is fitted again only when its input changed.
    late = {"basket_id": 99_000_000_002, "transaction_timestamp": "2018-01-02 18:00:00"}
    add_purchases(home, "transactions_2018-01-02.csv", [late])
    with warehouse_of(home).connect() as connection:  # a champion would not let it serve
        connection.execute("update ml.model_runs set is_champion = false")
    with pytest.raises(RefreshError, match=r"churn_scores.*scores_tell_customers_apart"):
        run(home, train_churn=all_alike)
    assert members(home) == before
    run(home)  # with the real model the same input passes
    assert members(home) != before


def test_a_killed_run_is_safe_to_start_again(built: Settings, tmp_path: Path) -> None:
    home = replace(built, home=tmp_path / "home")
    shutil.copytree(built.landing_dir, home.landing_dir)
    environment = {
        "DSEGMENT_HOME": str(home.home),
        "DSEGMENT_PSEUDONYM_KEY": home.pseudonym_key,
        "PATH": str(Path(sys.executable).parent),
    }
    for moment in ("landing …", "core.fct_orders"):
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_project.cli", "run"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for text in process.stderr:
            if moment in text:
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    run(home)
    assert fingerprints(home) == fingerprints(built)
    with dg.DagsterInstance.get() as instance:  # a run that seems to go on would block the daemon
        assert instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])) == []


def test_another_selection_of_sources_is_refused(built: Settings) -> None:
    with pytest.raises(SettingsError, match="holds the sources 'complete_journey'"):
        replace(built, sources=("corner_shop",)).claim_home()


def test_no_identifier_leaves_the_vault(built: Settings) -> None:
    """The canary household is in the landing files and in the vault, and nowhere else."""
    allowed = {built.vault_path, built.home / "pseudonym.key"}
    with duckdb.connect(built.vault_path, read_only=True) as vault:
        kept = vault.execute(
            "select count(*) from raw.complete_journey__transactions where household_id = $canary",
            {"canary": CANARY},
        ).fetchall()
    assert kept == [(1,)]
    spellings = [CANARY.encode(), int(CANARY).to_bytes(8, "little")]
    leaks = [
        path
        for path in built.home.rglob("*")
        if path.is_file() and path not in allowed and built.landing_dir not in path.parents
        if any(spelling in path.read_bytes() for spelling in spellings)
    ]
    assert leaks == []
    # Compressed blocks hide text from a byte scan, so the tables are asked as well.
    with warehouse_of(built).connect() as warehouse:
        for schema, table in warehouse.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall():
            found = warehouse.execute(
                f"select count(*) from {schema}.{table} as t where contains(t::varchar, $canary)",
                {"canary": CANARY},
            ).fetchall()
            assert found == [(0,)], f"{schema}.{table} holds the canary"
