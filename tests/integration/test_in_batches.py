"""The materialisation `in_batches`, as shipped, in a dbt project of its own."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt_common.events.base_types import EventMsg

from dagster_project.settings import PROJECT_DIR

MACRO = PROJECT_DIR / "dbt/macros/materializations/in_batches.sql"
PROJECT = """
name: batches
version: "1.0.0"
config-version: 2
profile: batches
flags: {send_anonymous_usage_stats: false}
"""
PROFILE = "batches: {target: it, outputs: {it: {type: duckdb, path: '%s', threads: 1}}}"
MACROS = """
{% macro every_day() %}select day, count(*) as row_count from facts group by day{% endmacro %}
{% macro due_days() %}{{ every_day() }} having day not in (select day from held){% endmacro %}
{% macro is_held() %}day in (select day from held){% endmacro %}
"""
MODELS = {
    "made_anew": """
        {{ config(materialized='in_batches', batch_day='day', batch_rows=250_000,
                  batch_counts='every_day') }}
        select day, if(n = 449_999 and {{ var('run') }} = 9, error('a fault'), n) as n from facts
    """,
    "kept": """
        {{ config(materialized='in_batches', batch_day='day', batch_rows=1,
                  batch_counts='due_days', kept='is_held') }}
        select day, n, {{ var('run') }} as run from facts
    """,
    "contracted": """
        {{ config(materialized='in_batches', batch_day='day', batch_rows=250_000,
                  batch_counts='every_day') }}
        select day, n from facts
    """,
    # In the same process: DuckDB has hidden rows of a table made in one transaction from joins.
    "reader": """
        {{ config(materialized='table') }}
        select count(made.n) as made_count, count(contracted.n) as contracted_count
        from facts
        left join {{ ref('made_anew') }} as made using (n)
        left join {{ ref('contracted') }} as contracted using (n)
    """,
}
SCHEMA = """
models:
  - name: contracted
    config: {contract: {enforced: true}}
    columns:
      - {name: day, data_type: date, constraints: [{type: not_null, warn_unsupported: false}]}
      - {name: n, data_type: bigint}
  - name: kept
    config: {contract: {enforced: true}}
    columns:
      - {name: day, data_type: date}
      - {name: n, data_type: bigint}
      - {name: run, data_type: integer}
"""


class Project:
    """A dbt project with the shipped macro, and what its runs inserted."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.inserted = folder, []
        for name in ("macros", "models"):
            (folder / name).mkdir()
        shutil.copy(MACRO, folder / "macros")
        (folder / "macros/days.sql").write_text(MACROS)
        (folder / "dbt_project.yml").write_text(PROJECT)
        (folder / "profiles.yml").write_text(PROFILE % (folder / "batches.duckdb"))
        (folder / "models/schema.yml").write_text(SCHEMA)
        for name, sql in MODELS.items():
            self.write(name, sql)

    def write(self, name: str, sql: str) -> None:
        """Write a model, in the place of the one of that name."""
        (self._folder / f"models/{name}.sql").write_text(sql)

    def query(self, sql: str) -> list[tuple]:
        with duckdb.connect(self._folder / "batches.duckdb") as connection:
            return connection.execute(sql).fetchall()

    def run(self, number: int) -> None:
        """Make all models; they must succeed."""
        made = self.attempt(number)
        assert made.success, made.exception or [result.message for result in made.result]

    def attempt(self, number: int) -> dbtRunnerResult:
        """Make all models as far as it goes."""
        self.inserted.clear()
        where = ["--project-dir", str(self._folder), "--profiles-dir", str(self._folder)]
        made = dbtRunner(callbacks=[self._listen]).invoke(
            ["--log-level-file", "debug", "run", "--vars", f"run: {number}", *where]
        )
        DuckDBConnectionManager.close_all_connections()
        return made

    def _listen(self, event: EventMsg) -> None:
        if event.info.name == "SQLQuery" and "insert into" in event.data.sql:
            first, last = re.findall(r"date '([-\d]+)'", event.data.sql)
            self.inserted.append((event.data.node_info.node_name, first, last))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Facts of three days, two of them too many for one batch."""
    project = Project(tmp_path)
    project.query("create table held (day date)")
    project.query(
        "create table facts as select date '2026-01-01' + (n // 200_000)::integer as day, n "
        "from range(450_000) as numbers(n)"
    )
    return project


def test_days_come_in_batches_and_every_row_is_there_at_once(project: Project) -> None:
    for number in (1, 2):
        project.run(number)
        assert [days for model, *days in project.inserted if model == "made_anew"] == [
            ["2026-01-01", "2026-01-01"],
            ["2026-01-02", "2026-01-03"],
        ]
        assert project.query("from made_anew except from facts") == []
        assert project.query("select count(*) from made_anew") == [(450_000,)]
        assert project.query("from reader") == [(450_000, 450_000)]
    (day, _) = project.query('select "null" from (describe contracted)')
    assert day == ("NO",)


def test_the_rows_of_the_last_run_outlive_a_batch_that_fails(project: Project) -> None:
    project.run(1)
    assert not project.attempt(9).success
    assert project.query("from made_anew except from facts") == []
    assert project.query("select count(*) from made_anew") == [(450_000,)]


def test_rows_that_stay_are_not_made_again_and_others_go(project: Project) -> None:
    project.run(1)
    project.query("insert into held values ('2026-01-01'), ('2026-01-04')")
    project.query("delete from facts where day = '2026-01-03'")
    project.run(2)
    assert [days for model, *days in project.inserted if model == "kept"] == [
        ["2026-01-02", "2026-01-02"]
    ]
    found = project.query("select day::varchar, run, count(*) from kept group by all order by all")
    assert found == [("2026-01-01", 1, 200_000), ("2026-01-02", 2, 200_000)]


def test_a_column_that_the_contract_lacks_is_told_also_where_rows_stay(project: Project) -> None:
    project.run(1)
    project.write("kept", MODELS["kept"].replace("select day,", "select 1 as more, day,"))
    (told,) = (one.message for one in project.attempt(2).result if one.node.name == "kept")
    assert "missing in contract" in told
