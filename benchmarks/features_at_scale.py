"""Time and peak memory of features, labels and models at a million customers of the simulator.

What belongs here: a company of any size out of a small one, the project's own dbt models and model
assets run on it, one process a stage, and the figures. What does not: landing and identity
stitching, which have figures of their own (`simulator_throughput`, `identity_figures`).

A company of a few thousand people is landed and stitched as usual. Then its people are repeated:
each copy has identifiers, people, orders, visits and messages of its own, on the same days and of
the same products. No stage looks at two customers together but the fits, and those read samples, so
copies cost what as many other customers would. What models learn from copies says nothing: the
figures are of time and memory alone, those of a model with its gate.

`python -m benchmarks.features_at_scale` needs 15 GB of disk; `--customers 50000` asks for less,
`--home` names a state folder of the demo that is made already.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from benchmarks.orchestration_tax import Measured, measure, say, write_section
from dagster_project.settings import Settings

CUSTOMERS = 1_000_000
DRAWN_PEOPLE = 3_000
# Entities of the demo that features are made from, with the column that names a row of theirs.
ENTITIES = {
    "receipts": "receipt_id",
    "receipt_lines": "receipt_id",
    "web_orders": "order_id",
    "web_order_lines": "order_id",
    "web_events": "event_id",
    "app_events": "event_id",
    "email_events": "message_id",
    "push_events": "message_id",
    "survey_answers": "answer_id",
}
# What stitching made, with the columns that name a person or one of its identifiers.
PEOPLE = {
    "identity.person_identifiers": ("pseudonym", "person_id"),
    "identity.person_identifier_history": ("pseudonym", "person_id"),
    "core.dim_customers": ("customer_id",),
}
SHARED = (
    "raw.as_of",
    "raw.demo__products",
    "raw.demo__stores",
    "raw.demo__campaigns",
    "identity.person_recorded_days",
    "intermediate.rfm_segments",
    "quality.load_ledger",
    "quality.landing_days",
    "quality.file_arrivals",
)
# Far above any number of a row in the company that is copied.
NUMBERS_A_COPY = 10_000_000_000
FEATURES = "int_features__* mart_customer_features"
NEW_DAY = "features, one new day"
# What dbt is asked to make in each stage.
TABLES = {
    "facts": "path:models/staging/demo path:models/staging/complete_journey stg_run__as_of "
    "stg_quality__loaded_files int_landing__* int_orders__lines_* int_orders__orders_aggregated "
    "int_events__* int_engagement__* int_surveys__* int_catalogue__* "
    "int_campaigns__contacts_unioned int_campaigns__redemptions_unioned fct_* dim_products "
    "dim_stores",
    "features, all snapshots": FEATURES,
    NEW_DAY: FEATURES,
    "labels": "int_orders__customer_days_aggregated mart_value_labels mart_churn_labels "
    "mart_customer_rfm",
    "windows, campaigns, purchases": "int_campaigns__* mart_department_windows "
    "mart_campaign_responses mart_product_purchases",
}
# In the order in which they are measured; what dbt does not make is a model's table.
STAGES = (
    "facts",
    "features, all snapshots",
    "labels",
    "churn_scores",
    "lifetime_values",
    "cluster_assignments",
    "windows, campaigns, purchases",
    "campaign_responses",
    "category_propensity",
    "recommendations",
    NEW_DAY,
)
NOTE = (
    "{customers:,} customers with a purchase, all of them scored, of a simulated company of "
    "{drawn:,} people that was copied {copies:,} times: {rows:,} rows of orders, visits, messages "
    "and answers; {snapshots:,} rows of features over {days} snapshots. Each stage is a process of "
    "its own, with its imports; the peak is that of the process, in which DuckDB may hold "
    "{memory} before it writes to disk. {size:.1f} GB of tables at the end."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the company, measure each stage, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help="with a purchase")
    parser.add_argument("--home", type=Path, help="a state folder of the demo, made already")
    parser.add_argument("--memory", default="6GB", help="what DuckDB may hold")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.stage:
        run_stage(options.stage)
        return
    os.environ |= {"DSEGMENT_SOURCES": "demo", "DSEGMENT_MEMORY_LIMIT": options.memory}
    with tempfile.TemporaryDirectory(prefix="dsegment-features-") as folder:
        drawn, home = options.home or drawn_company(Path(folder) / "drawn"), Path(folder) / "home"
        copies = replicate(drawn, home, options.customers)
        measured = stages(home)
        lines = table(measured)
        note = NOTE.format(**sizes(home), copies=copies, drawn=DRAWN_PEOPLE, memory=options.memory)
    print("\n".join(["", note, "", *lines]))
    write_section(f"Features and models at {options.customers:,} customers", lines, note)


def drawn_company(home: Path) -> Path:
    """A state folder of a small company with everything made."""
    from simulator.demo import export

    say(f"drawing, landing and stitching {DRAWN_PEOPLE:,} people")
    export(home / "landing", people=DRAWN_PEOPLE)
    dsegment("run", home)
    return home


def dsegment(command: str, home: Path) -> None:
    """What a person would type."""
    program = str(Path(sys.executable).with_name("dsegment"))
    subprocess.run([program, command], check=True, env={**os.environ, "DSEGMENT_HOME": str(home)})


def replicate(drawn: Path, home: Path, customers: int) -> int:
    """Repeat the people of a state folder, with all that they did, and say how many times."""
    home.mkdir(parents=True)
    with duckdb.connect(home / "warehouse.duckdb") as connection:
        connection.execute(f"attach '{drawn / 'warehouse.duckdb'}' as drawn (read_only)")
        connection.execute("set preserve_insertion_order = false")
        present = connection.execute(
            "select count(*) from drawn.marts.mart_customer_features"
            " where as_of_date = (select as_of_date from drawn.raw.as_of)"
        ).fetchall()[0][0]
        copies = -(-customers // present)
        say(f"copying {present:,} customers {copies:,} times")
        connection.execute(f"create temp table copies as from range({copies}) as t(copy)")
        for schema in ("raw", "identity", "intermediate", "core", "quality"):
            connection.execute(f"create schema {schema}")
        for name in SHARED:
            connection.execute(f"create table {name} as from drawn.{name}")
        for entity, number in ENTITIES.items():
            _copy_entity(connection, f"raw.demo__{entity}", number)
        for name, columns in PEOPLE.items():
            _copy(connection, name, _other_names(columns))
        _stand_empty(connection)
    return copies


def _copy_entity(connection: duckdb.DuckDBPyConnection, table: str, number: str) -> None:
    """Write an entity once for every copy; each row is another one, of another person."""
    kinds = dict(
        connection.execute(
            f"select column_name, column_type from (describe drawn.{table})"
        ).fetchall()
    )
    renumbered = (
        f"{number} + copy * {NUMBERS_A_COPY}"
        if kinds[number] == "BIGINT"
        else f"{number} || '-' || copy"
    )
    people = [column for column in kinds if column.endswith("_pseudonym")]
    _copy(connection, table, _other_names(people) | {number: renumbered})


def _other_names(columns: Sequence[str]) -> dict[str, str]:
    return {column: f"md5({column} || copy)" for column in columns}


def _copy(connection: duckdb.DuckDBPyConnection, table: str, changed: Mapping[str, str]) -> None:
    replaced = ", ".join(f"{value} as {column}" for column, value in changed.items())
    connection.execute(
        f"create table {table} as "
        f"select * exclude (copy) replace ({replaced}) from drawn.{table} cross join copies"
    )


def _stand_empty(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the raw tables that features are not made from, which dbt names all the same."""
    names = connection.execute(
        "select table_name from duckdb_tables()"
        " where database_name = 'drawn' and schema_name = 'raw'"
    ).fetchall()
    for (name,) in names:
        connection.execute(
            f"create table if not exists raw.{name} as from drawn.raw.{name} limit 0"
        )


def stages(home: Path, names: Sequence[str] = STAGES) -> dict[str, Measured]:
    """Each stage in a process of its own."""
    dsegment("prepare", home)  # so that no stage pays for reading the dbt project
    measured = {}
    for stage in names:
        if stage == NEW_DAY:
            with duckdb.connect(home / "warehouse.duckdb") as connection:
                connection.execute("update raw.as_of set as_of_date = as_of_date + 1")
        say(stage)
        command = [sys.executable, "-m", "benchmarks.features_at_scale", "--stage", stage]
        measured[stage] = measure(stage, command, home)
    return measured


def run_stage(stage: str) -> None:
    """What a stage does, on the state folder of the environment."""
    from dagster_project.prepare import prepare_home
    from dagster_project.resources import export_environment, warehouse_of

    settings = Settings.from_environment()
    export_environment(settings)
    prepare_home(settings)
    warehouse_of(settings).ensure_tables()
    if stage in TABLES:
        _build(str(settings.dbt_dir), TABLES[stage])
    else:
        _materialise(settings, stage)


def _build(project: str, selected: str) -> None:
    from dbt.cli.main import dbtRunner

    command = ["--quiet", "run", "--project-dir", project, "--select", *selected.split()]
    done = dbtRunner().invoke(command)
    if not done.success:
        failed = [one.message for one in done.result or () if one.status == "error"]
        raise RuntimeError(f"dbt stopped: {failed or done.exception}")


def _materialise(settings: Settings, name: str) -> None:
    import dagster as dg

    from dagster_project.definitions import build_defs

    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(asset_selection=[dg.AssetKey(["ml", name])], instance=instance)


def sizes(home: Path) -> dict[str, float]:
    """How large the company was, and what became of it."""
    counted = " + ".join(f"(select count(*) from raw.demo__{entity})" for entity in ENTITIES)
    file = home / "warehouse.duckdb"
    with duckdb.connect(file, read_only=True) as connection:
        rows, *others = connection.execute(
            f"""
            select {counted}, count(*), count(distinct as_of_date),
                count(*) filter (as_of_date = (select as_of_date from raw.as_of))
            from marts.mart_customer_features
            """
        ).fetchall()[0]
    found = dict(zip(("rows", "snapshots", "days", "customers"), (rows, *others), strict=True))
    return found | {"size": file.stat().st_size / 1e9}


def table(measured: Mapping[str, Measured]) -> list[str]:
    """Figures as lines of Markdown."""
    return [
        "| stage | wall s | CPU s | peak GB | cores busy with others |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {stage} | {m.wall:.0f} | {m.cpu:.0f} | {m.peak_gb:.2f} | {m.others:.1f} |"
            for stage, m in measured.items()
        ),
    ]


if __name__ == "__main__":
    main()
