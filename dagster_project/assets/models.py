"""The assets of the schema ``ml``, assembled; a caller may swap what fits a model."""

from collections.abc import Callable

import dagster as dg

from dagster_project.assets.churn import churn_asset
from dagster_project.assets.clusters import clusters_asset
from dagster_project.assets.model_runs import model_runs_spec
from dagster_project.assets.values import value_asset
from dagster_project.settings import Settings
from dagster_project.tables import CHURN_SCORES, CLUSTER_ASSIGNMENTS, LIFETIME_VALUES
from ml.churn import ChurnResult, train_and_score
from ml.clustering import ClusterResult, cluster_customers
from ml.lifetime_value import LifetimeValueResult, predict_lifetime_value


def model_assets(
    settings: Settings,
    *,
    cluster: Callable[..., ClusterResult] = cluster_customers,
    train_churn: Callable[..., ChurnResult] = train_and_score,
    predict_value: Callable[..., LifetimeValueResult] = predict_lifetime_value,
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Every model, and the table that records their runs."""
    return [
        clusters_asset(settings, cluster),
        churn_asset(settings, train_churn),
        value_asset(settings, predict_value),
        model_runs_spec([CLUSTER_ASSIGNMENTS, CHURN_SCORES, LIFETIME_VALUES]),
    ]
