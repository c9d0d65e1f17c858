"""Runs dbt inside this process, so that a run pays for one Python start and one import of dbt.

What belongs here: calling dbt and turning its events into Dagster's.
What does not: what dbt's nodes are called or mean (``assets/warehouse.py``).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_dbt.asset_utils import (
    DAGSTER_DBT_EXCLUDE_METADATA_KEY,
    DAGSTER_DBT_SELECT_METADATA_KEY,
    DAGSTER_DBT_SELECTOR_METADATA_KEY,
    get_subset_selection_for_context,
)
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from dagster_dbt.core.dbt_event_iterator import DbtDagsterEventType
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt_common.events.base_types import EventMsg
from dbt_common.events.functions import msg_to_dict

QUIETLY = ("--log-level", "none")


class DbtError(RuntimeError):
    """dbt could not make or judge a model; the message is dbt's own."""


class Dbt(dg.ConfigurableResource):
    """dbt's programmatic runner. Its connection to the database is closed when a call returns.

    ``parsed`` names the state of the project that was parsed: the same one is read once a process.
    """

    project_dir: str
    parsed: str

    def build(
        self,
        context: dg.AssetExecutionContext,
        manifest: Mapping[str, Any],
        translator: DagsterDbtTranslator,
        indirect_selection: str = "eager",
    ) -> tuple[list[DbtDagsterEventType], DbtError | None]:
        """Build and test the models that this step was asked for.

        ``indirect_selection`` is dbt's: "buildable" leaves out a test that reads what comes later.

        Returns Dagster's events, and the error if a model or a blocking test failed. The events
        of what was made before it are there in both cases.
        """
        results: list[dict[str, Any]] = []
        errors: list[str] = []

        def listen(message: EventMsg) -> None:
            if message.info.level == "error":
                errors.append(message.info.msg)
            if message.info.level in ("info", "warn", "error"):
                print(message.info.msg, file=sys.stdout, flush=True)
            if message.info.name in ("LogModelResult", "LogSeedResult", "LogTestResult"):
                results.append(msg_to_dict(message))

        outcome = _invoke(
            [
                "build",
                "--exclude-resource-type",
                "unit_test",
                *_selection(context, manifest, translator, indirect_selection),
            ],
            self.project_dir,
            self.parsed,
            listen,
        )
        events = [
            event
            for result in results
            for event in DbtCoreCliEventMessage(
                raw_event=result, event_history_metadata={}
            ).to_default_asset_events(
                manifest=manifest, dagster_dbt_translator=translator, context=context
            )
        ]
        if outcome.success:
            return events, None
        said = "\n".join(errors) or str(outcome.exception)
        return events, DbtError(f"dbt stopped:\n{said}")


def _selection(
    context: dg.AssetExecutionContext,
    manifest: Mapping[str, Any],
    translator: DagsterDbtTranslator,
    indirect_selection: str,
) -> Sequence[str]:
    """The selection arguments for the assets and checks that this step was asked for."""
    tags = context.op.tags
    arguments, indirect = get_subset_selection_for_context(
        context=context,
        manifest=manifest,
        select=tags.get(DAGSTER_DBT_SELECT_METADATA_KEY),
        exclude=tags.get(DAGSTER_DBT_EXCLUDE_METADATA_KEY),
        selector=tags.get(DAGSTER_DBT_SELECTOR_METADATA_KEY),
        dagster_dbt_translator=translator,
        current_dbt_indirect_selection_env=None,
    )
    return [*arguments, "--indirect-selection", indirect or indirect_selection]


def _invoke(
    arguments: Sequence[str],
    project_dir: str,
    parsed: str,
    listen: Callable[[EventMsg], None],
) -> dbtRunnerResult:
    runner = dbtRunner(manifest=_manifest(project_dir, parsed), callbacks=[listen])
    try:
        # The listener prints what a person wants to see; the manifest is the one of set-up.
        return runner.invoke([*QUIETLY, "--no-write-json", *arguments], project_dir=project_dir)
    finally:
        # dbt-duckdb keeps the database open for the next command, and the gates open it otherwise.
        DuckDBConnectionManager.close_all_connections()


@cache
def _manifest(project_dir: str, parsed: str) -> Manifest:  # noqa: ARG001
    """The project as dbt's own object, once for each state of it."""
    return parse(project_dir, "--no-write-json")


def parse(project_dir: str, *options: str) -> Manifest:
    """Read the project and write its manifest, unless told otherwise.

    Raises:
        DbtError: it cannot be read; the message is dbt's own.

    """
    outcome = dbtRunner().invoke([*QUIETLY, *options, "parse"], project_dir=project_dir)
    if not outcome.success:
        raise DbtError(f"dbt cannot read {project_dir}:\n{outcome.exception}")
    return outcome.result
