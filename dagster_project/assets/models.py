"""Marts → models → scores: each asset reads a mart, calls ``ml``, writes its table.

What belongs here: which mart feeds which model, and keeping the model file and its record.
What does not: how a model is fitted (``ml/``).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import dagster as dg
import polars as pl

import ml
from dagster_project.assets.specs import data_version, table_spec, version_of
from dagster_project.resources import Warehouse, Write
from dagster_project.settings import Settings
from dagster_project.tables import CHURN_SCORES, CLUSTER_ASSIGNMENTS, MODEL_RUNS, Table
from ml.artifacts import save
from ml.churn import ChurnResult, train_and_score
from ml.clustering import ClusterResult, cluster_customers
from ml.model_runs import ModelRun

RFM = dg.AssetKey(["marts", "mart_customer_rfm"])
FEATURES = dg.AssetKey(["marts", "mart_customer_features"])
LABELS = dg.AssetKey(["marts", "mart_churn_labels"])
MODEL_RUNS_KEY = dg.AssetKey([MODEL_RUNS.schema, MODEL_RUNS.name])


def model_assets(
    settings: Settings,
    *,
    cluster: Callable[..., ClusterResult] = cluster_customers,
    train_churn: Callable[..., ChurnResult] = train_and_score,
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets of the schema ``ml``; a caller may swap what fits a model."""
    version = version_of(ml)

    @dg.multi_asset(
        name="cluster_assignments",
        specs=[_spec(CLUSTER_ASSIGNMENTS, [RFM], version)],
        pool="warehouse",
    )
    def assign_clusters(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        warehouse.require_gates(["marts.mart_customer_rfm"])
        result = cluster(warehouse.read("marts.mart_customer_rfm"))
        return _keep(context, warehouse, CLUSTER_ASSIGNMENTS, result, result.assignments, [RFM])

    @dg.multi_asset(
        name="churn_scores",
        specs=[_spec(CHURN_SCORES, [FEATURES, LABELS], version)],
        pool="warehouse",
    )
    def score_churn(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        warehouse.require_gates(["marts.mart_customer_features", "marts.mart_churn_labels"])
        result = train_churn(
            warehouse.read("marts.mart_customer_features"),
            warehouse.read("marts.mart_churn_labels"),
        )
        context.log.info(
            f"Churn on {result.holdout_date}: ROC-AUC {result.metrics['model']['roc_auc']:.3f}, "
            f"PR-AUC {result.metrics['model']['pr_auc']:.3f}; recency alone "
            f"{result.metrics['recency_only']['roc_auc']:.3f}, "
            f"{result.metrics['recency_only']['pr_auc']:.3f}."
        )
        return _keep(context, warehouse, CHURN_SCORES, result, result.scores, [FEATURES, LABELS])

    def _keep(
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        table: Table,
        result: ClusterResult | ChurnResult,
        rows: pl.DataFrame,
        inputs: Sequence[dg.AssetKey],
    ) -> dg.MaterializeResult:
        name = table.name
        run = ModelRun.of(
            model_name=name,
            as_of_date=result.as_of_date,
            data_version=data_version(context, inputs),
            features=result.features,
            parameters=result.parameters,
            metrics=result.metrics,
            code_version=version,
        )
        run = replace(run, artifact_path=f"models/{name}/{run.model_run_id}.skops")
        save(
            settings.home / run.artifact_path,
            kind=name,
            features=result.features,
            parts=result.model.as_parts(),
        )
        identified = rows.with_columns(
            as_of_date=pl.lit(result.as_of_date), model_run_id=pl.lit(run.model_run_id)
        )
        warehouse.write(
            Write(
                MODEL_RUNS,
                pl.DataFrame([run.as_row()]),
                matching={"model_run_id": run.model_run_id},
            ),
            Write(table, identified, matching={"as_of_date": result.as_of_date}),
        )
        context.log_event(dg.AssetMaterialization(asset_key=MODEL_RUNS_KEY))
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows.height,
                "model_run_id": run.model_run_id,
                "metrics": dg.MetadataValue.json(run.metrics),
            }
        )

    return [
        assign_clusters,
        score_churn,
        table_spec(
            MODEL_RUNS,
            deps=[
                dg.AssetKey([table.schema, table.name])
                for table in (CLUSTER_ASSIGNMENTS, CHURN_SCORES)
            ],
            owner="team:data-science",
        ),
    ]


def _spec(table: Table, deps: Sequence[dg.AssetKey], version: str) -> dg.AssetSpec:
    return table_spec(
        table,
        deps=deps,
        owner="team:data-science",
        kinds={"scikitlearn", "polars", "duckdb"},
        code_version=version,
    )
