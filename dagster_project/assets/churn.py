"""Snapshots of features and labels → churn scores with reasons, by the champion model.

What belongs here: which marts feed the model, keeping its file and record, what the UI shows of it.
What does not: fitting, judging and the decision between two models (``ml/``).
"""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import polars as pl

from dagster_project.assets.champions import compete, scored_by_champion
from dagster_project.assets.model_runs import (
    MODEL_RUNS_KEY,
    model_spec,
    outcome,
    refused,
    saved_run,
)
from dagster_project.assets.pictures import churn_pictures, table
from dagster_project.assets.retention import forget_old
from dagster_project.assets.samples import features_known, in_sample
from dagster_project.feature_dictionary import feature_policies
from dagster_project.resources import Warehouse, Write
from dagster_project.settings import Settings
from dagster_project.tables import CHURN_SCORES
from ml.churn import FEATURES, ChurnResult, score_customers
from ml.churn_training import KEY
from ml.errors import ModelRefused
from ml.fairness import fairness_by_group, fairness_gaps
from ml.feature_policy import FeaturePolicy, needed_policies
from ml.serving import Served

FEATURES_KEY = dg.AssetKey(["marts", "mart_customer_features"])
LABELS_KEY = dg.AssetKey(["marts", "mart_churn_labels"])
CUSTOMERS = dg.AssetKey(["core", "dim_customers"])
CHURN_SCORES_KEY = dg.AssetKey([CHURN_SCORES.schema, CHURN_SCORES.name])
# Each of the cut-offs is trained and judged on at most a fifth of it.
MOST_HISTORY_ROWS = 1_000_000
# Groups that a score should treat alike, where a source tells them.
GROUPS = ("age_band", "income_band", "marital_status", "household_composition")
# A group whose mean score is further from what it did is told of as a warning.
MOST_CALIBRATION_GAP = 0.1


def churn_asset(settings: Settings, train_churn: Callable[..., ChurnResult]) -> dg.AssetsDefinition:
    """``ml.churn_scores``, and a check of how it treats groups."""

    @dg.multi_asset(
        name="churn_scores",
        specs=[model_spec(CHURN_SCORES, [FEATURES_KEY, LABELS_KEY, CUSTOMERS])],
        check_specs=[
            dg.AssetCheckSpec(
                "groups_are_treated_alike",
                asset=CHURN_SCORES_KEY,
                description="Selection rate, recall and calibration of known groups, on customers "
                "whose outcome the judged model had not seen.",
            )
        ],
        pool="warehouse",
    )
    def score_churn(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        warehouse.require_gates(["marts.mart_customer_features", "marts.mart_churn_labels"])
        policies = feature_policies(settings.project_dir)
        features, labels = _known(warehouse, policies)
        try:
            result = train_churn(features, labels, policies=policies)
        except ModelRefused as refusal:
            unjudged = [_fairness(f"No model could be judged: {refusal}.")]
            newest = features.filter(pl.col("as_of_date") == warehouse.as_of())
            rows = scored_by_champion(
                settings,
                warehouse,
                CHURN_SCORES.name,
                refusal,
                lambda model: score_customers(model, newest)[0],
            )
            return refused(context, warehouse, CHURN_SCORES, refusal, unjudged, rows)
        run = saved_run(
            context, settings, CHURN_SCORES.name, result, result.model, [FEATURES_KEY, LABELS_KEY]
        )
        served, runs = compete(settings, warehouse, run, result)
        model, baseline = result.metrics["model"], result.metrics["recency_only"]
        context.log.info(
            f"Churn on {result.holdout_date}: ROC-AUC {model['roc_auc']:.3f}, PR-AUC "
            f"{model['pr_auc']:.3f}; recency alone {baseline['roc_auc']:.3f}, "
            f"{baseline['pr_auc']:.3f}. Champion and challenger: {served.told()}."
        )
        scores, importance = result.scores, result.importance
        if served.model is not result.model:
            newest = features.filter(pl.col("as_of_date") == result.as_of_date)
            scores, importance = score_customers(served.model, newest)
        rows = scores.with_columns(
            as_of_date=pl.lit(result.as_of_date), model_run_id=pl.lit(served.model_run_id)
        )
        warehouse.write(
            runs,
            Write(CHURN_SCORES, rows, matching={"as_of_date": result.as_of_date}),
            outcome(CHURN_SCORES.name, result.as_of_date),
        )
        forget_old(settings, warehouse, CHURN_SCORES, run.model_name)
        context.log_event(dg.AssetMaterialization(asset_key=MODEL_RUNS_KEY))
        known = warehouse.read(f"select customer_id, {', '.join(GROUPS)} from core.dim_customers")
        groups = result.holdout.join(known, on="customer_id")
        return dg.MaterializeResult(
            metadata=_metadata(result, served, scores, importance),
            check_results=[_judged_fairness(groups)],
        )

    return score_churn


def _known(
    warehouse: Warehouse, policies: Mapping[str, FeaturePolicy]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Features of all customers of today and, with labels, of as many before as training needs."""
    chosen = in_sample(warehouse, "marts.mart_customer_features", MOST_HISTORY_ROWS)
    columns = (*KEY, *needed_policies(policies, FEATURES))
    features = features_known(warehouse, columns, chosen)
    return features, warehouse.read(f"select * from marts.mart_churn_labels where {chosen}")


def _metadata(
    result: ChurnResult, served: Served, scores: pl.DataFrame, importance: pl.DataFrame
) -> dict[str, object]:
    by_measure = {f"holdout_{measure}": value for measure, value in result.metrics["model"].items()}
    return {
        "dagster/row_count": scores.height,
        "model_run_id": served.model_run_id,
        "decision": served.told(),
        **by_measure,
        "holdout": dg.MetadataValue.json(result.metrics["intervals"]),
        **churn_pictures(result, scores),
        "importance": dg.MetadataValue.md(table(importance)),
        "score_quantiles": dg.MetadataValue.json(
            {f"{q:.0%}": scores["churn_score"].quantile(q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
        ),
    }


def _judged_fairness(holdout: pl.DataFrame) -> dg.AssetCheckResult:
    by_group = fairness_by_group(holdout, GROUPS)
    gaps = fairness_gaps(by_group)
    largest = gaps["largest_calibration_gap"].max()
    return _fairness(
        "No group is known."
        if largest is None
        else f"The mean score of a group is at most {largest:.3f} from what it did.",
        passed=largest is None or largest <= MOST_CALIBRATION_GAP,
        metadata={
            "groups": dg.MetadataValue.md(table(by_group)),
            "gaps": dg.MetadataValue.md(table(gaps)),
        },
    )


def _fairness(description: str, *, passed: bool = True, **more: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="groups_are_treated_alike",
        asset_key=CHURN_SCORES_KEY,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        **more,
    )
