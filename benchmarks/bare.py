"""The work of a warm full refresh without orchestration: one process, no Dagster, no dbt.

What belongs here: the same compiled SQL, gates, fits, segments and report as the graph, in its
order, writing the same tables. Each step prints the line that the orchestrated run prints for it.
What does not: measuring (`orchestration_tax`), and any SQL or rule of its own.

Landing is not here: with nothing new it is no work, so all it costs counts as tax. Like the
other side, a step imports what it needs when it begins.
"""

import pickle
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl

from benchmarks.bare_models import BareModels, replace_rows
from dagster_project.settings import Settings
from dagster_project.tables import (
    DIM_SEGMENTS,
    GATE_RESULTS,
    SEGMENT_HISTORY,
    SEGMENT_MEMBERSHIP,
    SEGMENT_RECORDED_DAYS,
    SEGMENT_SCORECARD,
)
from expectations.suites import Suite
from landing.declarations import Declarations, read_declarations


@dataclass(frozen=True)
class Plan:
    """What only the orchestrated side knows, handed over so that both write the same rows.

    statements: the SQL of models, seeds and tests as dbt sent it, in its order, without what dbt
    asks the catalogue for itself. suites: the suites of each border. data_versions: Dagster's
    version of each model's input. code_version: that of the room `ml`.
    """

    statements: Sequence[str]
    suites: Mapping[str, Sequence[Suite]]
    data_versions: Mapping[str, str]
    code_version: str


@dataclass(frozen=True)
class Bare:
    """One refresh of one state folder."""

    settings: Settings
    declarations: Declarations
    plan: Plan
    run_id: str

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one step: between steps the gates open the file in their own way."""
        with duckdb.connect(self.settings.warehouse_path) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection

    def refresh(self) -> None:
        """All steps of the graph behind landing, in its order."""
        self._judge("landing")
        with _step("warehouse"), self.connect() as connection:
            for statement in self.plan.statements:
                connection.execute(statement).fetchall()
        self._judge("marts")
        with self.connect() as connection:
            BareModels(
                self.settings, connection, self.plan.data_versions, self.plan.code_version
            ).make(_step)
        self._judge("ml")
        with _step("segments"):
            self._name_segments()
        with _step("segment_report"):
            self._write_report()

    def _judge(self, gate: str) -> None:
        with _step(f"gate_{gate}"):
            from expectations.runner import run_suites

            results = run_suites(self.settings.warehouse_path, self.plan.suites[gate])
            failed = [
                f"{r.table_schema}.{r.table_name}: {r.rule}" for r in results if not r.is_success
            ]
            if failed:
                raise RuntimeError(f"Gate {gate}: {'; '.join(failed)}")
            with self.connect() as connection:
                judged = pl.DataFrame([asdict(r) for r in results], infer_schema_length=None)
                rows = judged.with_columns(
                    as_of_date=pl.lit(_as_of(connection)),
                    run_id=pl.lit(self.run_id),
                    checked_at=pl.lit(datetime.now(UTC).replace(tzinfo=None)),
                )
                replace_rows(
                    connection, GATE_RESULTS, [rows], {"run_id": self.run_id, "gate": gate}
                )

    def _name_segments(self) -> None:
        from segments.history import History, advance
        from segments.membership import evaluate, profile
        from segments.rules import dim_segments, expand, load
        from segments.scorecard import scorecard

        with self.connect() as connection:
            as_of = _as_of(connection)
            customers = profile(
                _on(connection, "marts.mart_customer_rfm", as_of),
                _on(connection, "marts.mart_customer_features", as_of),
                connection.sql("from core.dim_customers").pl(),
                _on(connection, "ml.cluster_assignments", as_of),
                _on(connection, "ml.churn_scores", as_of),
                _on(connection, "ml.lifetime_values", as_of).filter(pl.col("horizon_days") == 28),
            )
            named = expand(load(self.settings.segments_file, customers.schema), customers)
            membership = evaluate(named, customers)
            intervals, days = (
                connection.sql(f"from {table.qualified}").pl()
                for table in (SEGMENT_HISTORY, SEGMENT_RECORDED_DAYS)
            )
            history, _ = advance(History(intervals, days), membership, as_of)
            rows = {
                DIM_SEGMENTS: dim_segments(named),
                SEGMENT_MEMBERSHIP: membership.with_columns(as_of_date=pl.lit(as_of)),
                SEGMENT_HISTORY: history.intervals,
                SEGMENT_RECORDED_DAYS: history.recorded_days,
                SEGMENT_SCORECARD: scorecard(named, membership, customers, history, as_of),
            }
            for table, frame in rows.items():
                replace_rows(connection, table, [frame], {})
            self.settings.history_dir.mkdir(parents=True, exist_ok=True)
            for table in (SEGMENT_HISTORY, SEGMENT_RECORDED_DAYS):
                copy = self.settings.history_dir / f"{table.name}.parquet"
                ordered = f"from {table.qualified} order by {', '.join(table.key)}"
                connection.execute(f"copy ({ordered}) to '{copy}' (format parquet)")

    def _write_report(self) -> None:
        from report.page import ReportData, render

        with self.connect() as connection:
            as_of = _as_of(connection)
            page = render(
                ReportData(
                    as_of_date=as_of,
                    currency=self.declarations.business.currency,
                    customer_count=connection.sql("from core.dim_customers").shape[0],
                    customer_rfm=_on(connection, "marts.mart_customer_rfm", as_of),
                    cohort_retention=connection.sql("from marts.mart_cohort_retention").pl(),
                    cluster_assignments=_on(connection, "ml.cluster_assignments", as_of),
                    churn_scores=_on(connection, "ml.churn_scores", as_of),
                    lifetime_values=_on(connection, "ml.lifetime_values", as_of),
                    model_runs=connection.sql("from ml.model_runs").pl(),
                    model_refusals=_on(connection, "ml.model_refusals", as_of),
                    dim_segments=connection.sql("from segments.dim_segments").pl(),
                    segment_scorecard=connection.sql("from segments.segment_scorecard").pl(),
                    load_ledger=connection.sql("from quality.load_ledger").pl(),
                    gate_results=connection.sql("from quality.gate_results").pl(),
                    data_note=" ".join(
                        self.declarations.sources[name].description
                        for name in self.settings.sources
                    ),
                )
            )
        self.settings.reports_dir.mkdir(parents=True, exist_ok=True)
        (self.settings.reports_dir / "segment_report.html").write_text(page, encoding="utf-8")


def _as_of(connection: duckdb.DuckDBPyConnection) -> date:
    return connection.execute("select as_of_date from raw.as_of").fetchall()[0][0]


def _on(connection: duckdb.DuckDBPyConnection, table: str, day: date) -> pl.DataFrame:
    return connection.sql(f"from {table} where as_of_date = $day", params={"day": day}).pl()


@contextmanager
def _step(name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"{name} done in {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)


def main(plan_path: str) -> None:
    """Refresh the state folder of the environment as the plan says."""
    settings = Settings.from_environment()
    # Written a moment ago by the process that started this one.
    plan = pickle.loads(Path(plan_path).read_bytes())
    declarations = read_declarations(settings.sources_file)
    Bare(settings, declarations, plan, uuid.uuid4().hex).refresh()


if __name__ == "__main__":
    main(sys.argv[1])
