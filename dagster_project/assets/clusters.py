"""Features → the clusters of today's customers, by centroids kept from day to day.

What belongs here: which clusters are kept, what a fit reads, keeping the file and its record.
What does not: when to fit, how, and what a cluster is called (``ml/clustering.py``).
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from dagster_project.assets.model_runs import (
    MODEL_RUNS_KEY,
    in_service,
    model_spec,
    outcome,
    refused,
    saved_run,
)
from dagster_project.assets.pictures import cluster_pictures
from dagster_project.assets.retention import forget_old
from dagster_project.feature_dictionary import feature_policies
from dagster_project.resources import Warehouse, Write
from dagster_project.settings import Settings
from dagster_project.tables import CLUSTER_ASSIGNMENTS
from ml.artifacts import load_model
from ml.cluster_candidates import FEATURES, ClusterSettings
from ml.cluster_model import ClusterModel
from ml.cluster_upkeep import upkeep
from ml.clustering import ClusterResult, columns_read, fitting_customers
from ml.errors import ModelRefused
from ml.model_runs import as_figures

CLUSTERS = dg.AssetKey([CLUSTER_ASSIGNMENTS.schema, CLUSTER_ASSIGNMENTS.name])
INPUTS = [dg.AssetKey(["marts", name]) for name in ("mart_customer_features", "mart_value_labels")]
CLUSTERS_NAME = CLUSTER_ASSIGNMENTS.name
HISTORY_DAYS = 366  # a year of finished periods is more than a fit judges by


def clusters_asset(
    settings: Settings, cluster: Callable[..., ClusterResult], *, is_refit_asked: bool
) -> dg.AssetsDefinition:
    """The table of today's clusters; a caller may swap what makes them."""

    @dg.multi_asset(
        name=CLUSTERS_NAME,
        specs=[model_spec(CLUSTER_ASSIGNMENTS, INPUTS)],
        pool="warehouse",
    )
    def assign_clusters(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        warehouse.require_gates([".".join(key.path) for key in INPUTS])
        policies = feature_policies(settings.project_dir)
        as_of, choice, read = warehouse.as_of(), ClusterSettings(), columns_read(policies)
        today = _on(warehouse, read, as_of)
        run_id, kept = last_good(warehouse, settings, as_of)
        before: dict[str, Any] = {"history": None}
        try:
            need = upkeep(kept, today, policies, choice, is_asked=is_refit_asked)
            if need.reason:
                context.log.info(f"Clusters are to be fitted: {need.reason.rstrip('.')}.")
                before = _for_a_fit(warehouse, read, as_of, fitting_customers(today, choice))
            result = cluster(
                today, policies=policies, kept=kept, need=need, settings=choice, **before
            )
        except ModelRefused as refusal:
            return refused(context, warehouse, CLUSTER_ASSIGNMENTS, refusal)
        if result.refused:
            context.log.warning(f"Clusters were {result.refused}.")
        writes = []
        if result.is_fitted:
            run = saved_run(context, settings, CLUSTERS_NAME, result, result.model, INPUTS)
            run_id = run.model_run_id
            writes = [in_service(warehouse, run, result.metrics["fitted_because"])]
        rows = result.assignments.with_columns(
            as_of_date=pl.lit(result.as_of_date), model_run_id=pl.lit(run_id)
        )
        warehouse.write(
            *writes,
            Write(CLUSTER_ASSIGNMENTS, rows, matching={"as_of_date": result.as_of_date}),
            outcome(CLUSTERS_NAME, result.as_of_date),
        )
        forget_old(settings, warehouse, CLUSTER_ASSIGNMENTS, CLUSTERS_NAME)
        if writes:
            context.log_event(dg.AssetMaterialization(asset_key=MODEL_RUNS_KEY))
        return dg.MaterializeResult(metadata=_metadata(settings, result, run_id, need.drift))

    return assign_clusters


def last_good(
    warehouse: Warehouse, settings: Settings, as_of: date
) -> tuple[str | None, ClusterModel | ModelRefused | None]:
    """The run and the model behind the newest clusters up to a day, or why it cannot be read.

    A past day is clustered by what was kept on it, never by clusters that were fitted later.
    """
    found = warehouse.read(
        """
        select model_run_id, artifact_path
        from ml.cluster_assignments join ml.model_runs using (model_run_id)
        where cluster_assignments.as_of_date <= $day
        order by cluster_assignments.as_of_date desc limit 1
        """,
        {"day": as_of},
    )
    if found.is_empty():
        return None, None
    run_id, path = found.row(0)
    try:
        return run_id, load_model(
            settings.home / path,
            kind=CLUSTERS_NAME,
            features=FEATURES,
            read=lambda _, parts: ClusterModel.from_parts(parts),
        )
    except ModelRefused as error:
        return run_id, error


def _on(warehouse: Warehouse, columns: Sequence[str], day: date) -> pl.DataFrame:
    return warehouse.read(
        f"select customer_id, as_of_date, {', '.join(columns)} "
        "from marts.mart_customer_features where as_of_date = $day",
        {"day": day},
    )


def _for_a_fit(
    warehouse: Warehouse, columns: Sequence[str], as_of: date, customers: Sequence[str]
) -> dict[str, Any]:
    """What a fit looks at beside today: finished periods, and what was published before."""
    return {
        "history": warehouse.read(
            f"""
            select customer_id, as_of_date, {", ".join(columns)}, label_until_date,
                order_count > 0 as is_repurchased, spend_amount as next_spend_amount
            from marts.mart_customer_features
                join marts.mart_value_labels using (customer_id, as_of_date)
            where label_until_date <= $day
                and horizon_days = (select min(horizon_days) from marts.mart_value_labels)
                and as_of_date > $day::date - {HISTORY_DAYS}
                and customer_id in (select unnest($customers))
            """,
            {"day": as_of, "customers": list(customers)},
        ),
        "published": warehouse.read(
            """
            select customer_id, cluster_id, cluster_name from ml.cluster_assignments
            where as_of_date =
                (select max(as_of_date) from ml.cluster_assignments where as_of_date <= $day)
            """,
            {"day": as_of},
        ),
        # Rows are kept for some days only; the runs tell of the clusters of years.
        "highest_id": warehouse.read(
            """
            select coalesce(max(cluster_id), -1) as highest from (
                select cluster_id from ml.cluster_assignments
                union all
                select unnest((metrics ->> '$.clusters[*].cluster_id')::integer[])
                from ml.model_runs where model_name = $name
            )
            """,
            {"name": CLUSTERS_NAME},
        ).item(),
    }


def _metadata(
    settings: Settings, result: ClusterResult, run_id: str | None, drift: dict[str, Any]
) -> dict[str, Any]:
    model = result.model
    centres = result.assignments.group_by("cluster_id").agg(
        pl.col("map_x", "map_y", "map_z").median().round(2)
    )
    shown = result.profiles.join(centres, on="cluster_id").sort("cluster_id")
    return {
        "dagster/row_count": result.assignments.height,
        "model_run_id": run_id,
        "is_fitted": result.is_fitted,
        "fitted_on": model.fitted_on,
        "method": f"{model.method}, {len(model.centroids)} groups, view {model.view}",
        "clusters": dg.MetadataValue.table(
            [dg.TableRecord(as_figures(row, 3)) for row in shown.to_dicts()]
        ),
        "drift": dg.MetadataValue.json(drift),
        "metrics": dg.MetadataValue.json(result.metrics),
        "map": cluster_pictures(result.assignments),
        "report": dg.MetadataValue.url(f"{settings.report_url}/segment_report.html#alike"),
    }
