"""Which part of the graph is out of date, and making just that part again.

What belongs here: comparing what is stored with what would be made now; one in-process run.
What does not: judging rows. Staleness is Dagster's own: a code version or an input's data version
differs from the one an asset was made with.
"""

import sys
from collections.abc import Iterable, Set
from contextlib import redirect_stdout

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from dagster_project.assets.identity import MATCH_MODEL_KEY, kept_version
from dagster_project.assets.landing import anything_to_land, landing_keys
from dagster_project.dead_runs import close_dead_runs
from dagster_project.definitions import build_defs
from dagster_project.progress import ModelLines
from dagster_project.resources import warehouse_of
from dagster_project.settings import Settings
from landing.declarations import read_declarations

CHECK_FAILED = "DagsterAssetCheckFailedError"  # said better by the check itself


class RefreshError(RuntimeError):
    """The run failed; the message says which step and why."""


def refresh(
    settings: Settings,
    *,
    full: bool = False,
    forced: Iterable[dg.AssetKey] = (),
    **overrides: object,
) -> int:
    """Land what is new, then make what is out of date; returns how many tables were made.

    ``forced`` are made, with what follows from them, even if nothing changed.

    Raises:
        RefreshError: a step failed or a gate stopped the run.

    """
    defs = build_defs(settings, **overrides)
    graph = defs.resolve_asset_graph()
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance)
        # Without the warehouse, what Dagster remembers of its tables is of no use.
        if full or not settings.warehouse_path.exists():
            return _make(defs, instance, graph.executable_asset_keys)
        declarations = read_declarations(settings.sources_file)
        landed = landing_keys(declarations)
        made = 0
        if _out_of_date(graph, instance) & landed or anything_to_land(settings, declarations):
            made = _make(defs, instance, landed)
        stale = _out_of_date(graph, instance, {*forced, *exchanged_models(settings, instance)})
        if stale:
            # A newer version may write tables that this warehouse does not have.
            warehouse_of(settings).ensure_tables()
        return made + _make(defs, instance, stale)


def _make(defs: dg.Definitions, instance: dg.DagsterInstance, keys: Set[dg.AssetKey]) -> int:
    """One run that makes these assets and judges them by their checks."""
    if not keys:
        return 0
    with redirect_stdout(ModelLines(sys.stderr)):
        result = defs.resolve_job_def("refresh").execute_in_process(
            instance=instance,
            asset_selection=sorted(keys),
            run_config={"loggers": {"progress": {}}},
            raise_on_error=False,
        )
    if not result.success:
        raise RefreshError(_why(result))
    return len(keys)


def summary(settings: Settings, lines: int = 10) -> str:
    """The largest segments, and what no model could be made of, for the end of a run."""
    cards = warehouse_of(settings).read(
        """
        select segment_name, customer_count, revenue_share, mean_churn_score, as_of_date
        from segments.segment_scorecard join segments.dim_segments using (segment_id)
        order by customer_count desc, display_order
        """
    )
    shown = [f"{'segment':<44}{'customers':>10}{'revenue':>10}{'churn risk':>12}"]
    shown += [
        f"{row['segment_name'][:43]:<44}{row['customer_count']:>10,}"
        f"{_share(row['revenue_share']):>10}{_share(row['mean_churn_score']):>12}"
        for row in cards.head(lines).iter_rows(named=True)
    ]
    told = [f"Segments on {cards['as_of_date'].max()}, the largest of {cards.height}:", *shown]
    refusals = warehouse_of(settings).read(
        "from ml.model_refusals where as_of_date = (select as_of_date from raw.as_of) order by all"
    )
    if refusals.height:
        told += ["", "Nothing new was made of these, what there was stays:"]
        told += [f"{row['model_name']}: {row['reason']}" for row in refusals.to_dicts()]
    return "\n".join(told)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _out_of_date(
    graph: AssetGraph, instance: dg.DagsterInstance, forced: Iterable[dg.AssetKey] = ()
) -> Set[dg.AssetKey]:
    """What changed, what failed a check, what was never made, and all that follows from these."""
    made = _made_with(instance, graph.executable_asset_keys)
    roots = {key for key in made if _is_stale(graph.get(key), made)} | set(forced)
    # A table that did not pass a check, or was left unjudged by a run that stopped, is made and
    # judged again before anything reads it.
    roots |= _open_to_judgement(instance, graph.asset_check_keys)
    if not roots:
        return set()
    return dg.AssetSelection.assets(*roots).downstream().resolve(graph) & made.keys()


def exchanged_models(settings: Settings, instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """The matching model, if its files are not those that the last run left."""
    tags = _made_with(instance, [MATCH_MODEL_KEY])[MATCH_MODEL_KEY]
    is_kept = tags.get(DATA_VERSION_TAG) == kept_version(settings)
    return set() if is_kept else {MATCH_MODEL_KEY}


def _made_with(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]
) -> dict[dg.AssetKey, dict[str, str]]:
    """Dagster's tags on the newest materialisations: versions of data, of code, of inputs."""
    made: dict[dg.AssetKey, dict[str, str]] = {key: {} for key in keys}
    for record in instance.get_asset_records(list(made)):
        event = record.asset_entry.last_materialization
        made[record.asset_entry.asset_key] = dict(event.tags or {}) if event else {}
    return made


def _open_to_judgement(
    instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey]
) -> set[dg.AssetKey]:
    """The tables that failed a check, or that a run left unjudged."""
    # One question for all; what Dagster offers above this asks for each check by itself.
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(checks))
    return {check.asset_key for check, record in latest.items() if _is_open(record)}


def _is_open(record: AssetCheckExecutionRecord) -> bool:
    if record.status.value == "SUCCEEDED":
        return False
    # A warning tells people something; making the table again would tell them the same.
    judged = record.event.dagster_event.event_specific_data if record.event else None
    return getattr(judged, "severity", None) != dg.AssetCheckSeverity.WARN


def _is_stale(node: BaseAssetNode, made: dict[dg.AssetKey, dict[str, str]]) -> bool:
    tags = made[node.key]
    return (
        not tags
        or tags.get(CODE_VERSION_TAG) != node.code_version
        or any(
            tags.get(f"{INPUT_DATA_VERSION_TAG_PREFIX}/{parent.to_user_string()}")
            != made[parent].get(DATA_VERSION_TAG)
            for parent in node.parent_keys & made.keys()
        )
    )


def _why(result: dg.ExecuteInProcessResult) -> str:
    lines = [
        f"{event.step_key}: {_said(event)}"
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.error.cls_name != CHECK_FAILED
    ]
    broken = [check for check in result.get_asset_check_evaluations() if not check.passed]
    lines += [
        check.description or f"{check.asset_key.to_user_string()}: {check.check_name} failed"
        for check in broken
    ]
    if broken:
        lines.append("What to look at, and how to go on: docs/how-to/when-a-gate-fails.md")
    return "The run stopped; what was good before stays.\n  " + "\n  ".join(dict.fromkeys(lines))


def _said(event: dg.DagsterEvent) -> str:
    """What a step says of its own failure, or else the error that began it."""
    told, error = event.step_failure_data.user_failure_data, event.step_failure_data.error
    if told:
        return told.description
    while getattr(error, "cause", None):
        error = error.cause
    return getattr(error, "message", str(error)).strip()
