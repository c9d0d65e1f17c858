"""Named segments of today, their history and their scorecard, from marts and model output.

What belongs here: reading the profile's tables, calling ``segments``, writing its tables.
What does not: a rule (``segments.yml``) or how one is evaluated (``segments/``).
"""

from collections.abc import Iterator

import dagster as dg
import polars as pl

import segments
from dagster_project.assets.specs import table_spec, version_of
from dagster_project.automation import FRESHNESS
from dagster_project.resources import Warehouse, Write
from dagster_project.settings import Settings
from dagster_project.tables import (
    DIM_SEGMENTS,
    SEGMENT_HISTORY,
    SEGMENT_MEMBERSHIP,
    SEGMENT_RECORDED_DAYS,
    SEGMENT_SCORECARD,
)
from segments.history import History, advance
from segments.membership import evaluate, profile
from segments.rules import dim_segments, expand, load
from segments.scorecard import scorecard

INPUTS = (
    "marts.mart_customer_rfm",
    "marts.mart_customer_features",
    "core.dim_customers",
    "ml.cluster_assignments",
    "ml.churn_scores",
    "ml.lifetime_values",
)
# Rules speak of the next four weeks, as the churn score does.
VALUES_AHEAD = "(from ml.lifetime_values where horizon_days = 28)"
TABLES = (
    DIM_SEGMENTS,
    SEGMENT_MEMBERSHIP,
    SEGMENT_HISTORY,
    SEGMENT_RECORDED_DAYS,
    SEGMENT_SCORECARD,
)
HISTORY_TABLES = (SEGMENT_HISTORY, SEGMENT_RECORDED_DAYS)


def segment_assets(settings: Settings) -> dg.AssetsDefinition:
    """The tables of the schema ``segments``, written in one transaction."""
    version = version_of(segments, settings.segments_file)

    @dg.multi_asset(
        name="segments",
        specs=[
            table_spec(
                table,
                deps=[dg.AssetKey(name.split(".")) for name in INPUTS],
                owner="team:marketing",
                kinds={"polars", "duckdb"},
                code_version=version,
                freshness=FRESHNESS,
            )
            for table in TABLES
        ],
        pool="warehouse",
    )
    def name_segments(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult]:
        warehouse.require_gates(INPUTS)
        as_of = warehouse.as_of()
        customers = profile(
            *(_on(warehouse, table, as_of) for table in INPUTS[:2]),
            warehouse.read("core.dim_customers"),
            *(last_said(warehouse, table, as_of) for table in INPUTS[3:5]),
            last_said(warehouse, VALUES_AHEAD, as_of),
        )
        named = expand(load(settings.segments_file, customers.schema), customers)
        membership = evaluate(named, customers)
        before = restored_history(warehouse, settings)
        history, outcome = advance(before, membership, as_of)
        context.log.info(f"{len(named)} segments on {as_of}; history {outcome}.")
        rows = {
            DIM_SEGMENTS: dim_segments(named),
            SEGMENT_MEMBERSHIP: membership.with_columns(as_of_date=pl.lit(as_of)),
            SEGMENT_HISTORY: history.intervals,
            SEGMENT_RECORDED_DAYS: history.recorded_days,
            SEGMENT_SCORECARD: scorecard(named, membership, customers, history, as_of),
        }
        warehouse.write(*(Write(table, frame) for table, frame in rows.items()))
        warehouse.back_up({t.qualified: t.key for t in HISTORY_TABLES}, settings.history_dir)
        for table, frame in rows.items():
            yield dg.MaterializeResult(
                asset_key=[table.schema, table.name], metadata={"dagster/row_count": frame.height}
            )

    return name_segments


def restored_history(warehouse: Warehouse, settings: Settings) -> History:
    """The stored history; from its backup when the warehouse is a new one."""
    intervals, days = (warehouse.read(table.qualified) for table in HISTORY_TABLES)
    if days.is_empty():
        saved = [settings.history_dir / f"{table.name}.parquet" for table in HISTORY_TABLES]
        if all(path.exists() for path in saved):
            intervals, days = (pl.read_parquet(path) for path in saved)
    return History(intervals, days)


def last_said(warehouse: Warehouse, rows: str, day: object) -> pl.DataFrame:
    """What a model said last, which is of today unless today's was refused by name."""
    return warehouse.read(
        f"with said as (from {rows} where as_of_date <= $day) "
        "from said where as_of_date = (select max(as_of_date) from said)",
        {"day": day},
    )


def _on(warehouse: Warehouse, table: str, day: object) -> pl.DataFrame:
    return warehouse.read(f"select * from {table} where as_of_date = $day", {"day": day})
