"""What every model asset does: say what it is, keep the model's file, record its run.

What belongs here: the parts that all models share. What does not: any one model.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Protocol

import dagster as dg
import polars as pl

import ml
from dagster_project.assets.champions import Challenge, compete, runs_of
from dagster_project.assets.retention import forget_old
from dagster_project.assets.specs import data_version, table_spec, version_of
from dagster_project.resources import Warehouse, Write
from dagster_project.settings import Settings
from dagster_project.tables import MODEL_REFUSALS, MODEL_RUNS, Table
from ml.artifacts import save
from ml.errors import ModelRefused
from ml.model_runs import ModelRun
from ml.serving import install

MODEL_RUNS_KEY = dg.AssetKey([MODEL_RUNS.schema, MODEL_RUNS.name])
MODEL_REFUSALS_KEY = dg.AssetKey([MODEL_REFUSALS.schema, MODEL_REFUSALS.name])


class Fitted(Protocol):
    """What a fit tells of itself, whatever the model."""

    as_of_date: Any
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    features: tuple[str, ...]


class Stored(Protocol):
    """What is kept in a file."""

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""


class Listing(Fitted, Challenge, Protocol):
    """A fit that yields rows a part at a time, by its own model or by an earlier one."""

    def lists(self, model: Any) -> Iterator[pl.DataFrame]:
        """Yield the rows, without the day and the run."""

    def summary(self) -> str:
        """Say in one line how good it is."""


def model_spec(table: Table, deps: Sequence[dg.AssetKey]) -> dg.AssetSpec:
    """The asset of a table that a model writes; any change in ``ml`` makes it stale."""
    return table_spec(
        table,
        deps=deps,
        owner="team:data-science",
        kinds={"scikitlearn", "polars", "duckdb"},
        code_version=version_of(ml),
    )


def ledger_specs(tables: Sequence[Table]) -> list[dg.AssetSpec]:
    """``ml.model_runs`` and ``ml.model_refusals``, which every model adds to."""
    deps = [dg.AssetKey([table.schema, table.name]) for table in tables]
    return [
        table_spec(ledger, deps=deps, owner="team:data-science")
        for ledger in (MODEL_RUNS, MODEL_REFUSALS)
    ]


def saved_run(
    context: dg.AssetExecutionContext,
    settings: Settings,
    model_name: str,
    result: Fitted,
    model: Stored,
    inputs: Sequence[dg.AssetKey],
) -> ModelRun:
    """Keep the model's file and return the record of its run, which the caller writes."""
    run = ModelRun.of(
        model_name=model_name,
        as_of_date=result.as_of_date,
        data_version=data_version(context, inputs),
        features=result.features,
        parameters=result.parameters,
        metrics=result.metrics,
        code_version=version_of(ml),
    )
    run = replace(run, artifact_path=f"models/{model_name}/{run.model_run_id}.skops")
    save(
        settings.home / run.artifact_path,
        kind=model_name,
        features=result.features,
        parts=model.as_parts(),
    )
    return run


def in_service(warehouse: Warehouse, run: ModelRun, reason: str) -> Write:
    """Record a run that serves from now on without a contest, for the reason given."""
    runs = install(run, runs_of(warehouse, run.model_name), reason)
    return Write(MODEL_RUNS, runs, matching={"model_name": run.model_name})


def keep_lists(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    table: Table,
    result: Listing,
    inputs: Sequence[dg.AssetKey],
    draw: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda _: {},
) -> dg.MaterializeResult:
    """Keep a new model, and write the rows of whoever serves from now on.

    ``draw`` makes pictures for the UI of the fit's metrics.
    """
    run = saved_run(context, settings, table.name, result, result.model, inputs)
    served, runs = compete(settings, warehouse, run, result)
    rows = _Counted(
        part.with_columns(
            as_of_date=pl.lit(result.as_of_date), model_run_id=pl.lit(served.model_run_id)
        )
        for part in result.lists(served.model)
    )
    warehouse.write(
        runs,
        Write(table, rows, matching={"as_of_date": result.as_of_date}),
        outcome(table.name, result.as_of_date),
    )
    forget_old(settings, warehouse, table, table.name)
    context.log_event(dg.AssetMaterialization(asset_key=MODEL_RUNS_KEY))
    context.log.info(f"{result.summary()}. Champion and challenger: {served.told()}.")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.count,
            "model_run_id": served.model_run_id,
            "decision": served.told(),
            **draw(run.metrics),
            "metrics": dg.MetadataValue.json(run.metrics),
        }
    )


def refused(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    table: Table,
    refusal: ModelRefused,
    check_results: Sequence[dg.AssetCheckResult] = (),
    rows: pl.DataFrame | None = None,
) -> dg.MaterializeResult:
    """Say why there is no new model, and let the run go on.

    ``rows`` are today's by the champion; without them the rows of earlier days are the last ones.
    """
    # A company that sells one thing, or began last month, still gets everything else.
    as_of = warehouse.as_of()
    scored = [] if rows is None else [Write(table, rows, matching={"as_of_date": as_of})]
    warehouse.write(outcome(table.name, as_of, refusal), *scored)
    context.log_event(dg.AssetMaterialization(asset_key=MODEL_REFUSALS_KEY))
    stays = "the champion scored today" if scored else "the last rows stay"
    context.log.warning(f"No new model for {table.qualified}, {stays}: {refusal}")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": 0 if rows is None else rows.height,
            "refused": str(refusal),
        },
        check_results=check_results,
    )


def outcome(model_name: str, as_of: date, refusal: ModelRefused | None = None) -> Write:
    """What ``ml.model_refusals`` says of a model today: why it was refused, or no longer anything.

    The gate of its table lets nobody be scored only if it is said here.
    """
    rows = [] if refusal is None else [(model_name, as_of, str(refusal))]
    schema = {"model_name": pl.String, "as_of_date": pl.Date, "reason": pl.String}
    return Write(
        MODEL_REFUSALS,
        pl.DataFrame(rows, schema=schema, orient="row"),
        matching={"model_name": model_name, "as_of_date": as_of},
    )


class _Counted:
    """Parts as they come, and how many rows they had."""

    def __init__(self, parts: Iterator[pl.DataFrame]) -> None:
        self.parts, self.count = parts, 0

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for part in self.parts:
            self.count += part.height
            yield part
