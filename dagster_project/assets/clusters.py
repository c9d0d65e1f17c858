"""Today's customers → clusters of those who are alike.

What belongs here: which mart feeds the clustering. What does not: how it is fitted
(``ml/clustering.py``).
"""

from collections.abc import Callable

import dagster as dg
import polars as pl

from dagster_project.assets.model_runs import MODEL_RUNS_KEY, in_service, model_spec, saved_run
from dagster_project.resources import Warehouse, Write
from dagster_project.settings import Settings
from dagster_project.tables import CLUSTER_ASSIGNMENTS
from ml.clustering import ClusterResult

RFM = dg.AssetKey(["marts", "mart_customer_rfm"])


def clusters_asset(
    settings: Settings, cluster: Callable[..., ClusterResult]
) -> dg.AssetsDefinition:
    """``ml.cluster_assignments``."""

    @dg.multi_asset(
        name="cluster_assignments",
        specs=[model_spec(CLUSTER_ASSIGNMENTS, [RFM])],
        pool="warehouse",
    )
    def assign_clusters(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        warehouse.require_gates(["marts.mart_customer_rfm"])
        result = cluster(warehouse.read("marts.mart_customer_rfm"))
        run = saved_run(context, settings, CLUSTER_ASSIGNMENTS.name, result, result.model, [RFM])
        assigned = result.assignments.with_columns(
            as_of_date=pl.lit(result.as_of_date), model_run_id=pl.lit(run.model_run_id)
        )
        warehouse.write(
            in_service(warehouse, run, "fitted on today's customers"),
            Write(CLUSTER_ASSIGNMENTS, assigned, matching={"as_of_date": result.as_of_date}),
        )
        context.log_event(dg.AssetMaterialization(asset_key=MODEL_RUNS_KEY))
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": assigned.height,
                "model_run_id": run.model_run_id,
                "metrics": dg.MetadataValue.json(run.metrics),
            }
        )

    return assign_clusters
