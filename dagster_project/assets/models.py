"""The assets of the schema ``ml``, assembled; a caller may swap what fits a model."""

from collections.abc import Callable

import dagster as dg

from dagster_project.assets.campaigns import campaigns_asset
from dagster_project.assets.churn import churn_asset
from dagster_project.assets.clusters import clusters_asset
from dagster_project.assets.model_runs import ledger_specs
from dagster_project.assets.recommendations import recommendation_assets
from dagster_project.assets.values import value_asset
from dagster_project.settings import Settings
from dagster_project.tables import (
    CAMPAIGN_RESPONSES,
    CATEGORY_PROPENSITY,
    CHURN_SCORES,
    CLUSTER_ASSIGNMENTS,
    LIFETIME_VALUES,
    MATCH_SCORES,
    RECOMMENDATIONS,
)
from ml.campaign_response import CampaignResponse, train_campaign_response
from ml.category_propensity import CategoryPropensity, train_category_propensity
from ml.churn import ChurnResult, train_and_score
from ml.clustering import ClusterResult, cluster_customers
from ml.lifetime_value import LifetimeValueResult, predict_lifetime_value
from ml.recommendation import Recommender, train_recommender


def model_assets(
    settings: Settings,
    currency: str,
    *,
    cluster: Callable[..., ClusterResult] = cluster_customers,
    refit_clusters: bool = False,
    train_churn: Callable[..., ChurnResult] = train_and_score,
    predict_value: Callable[..., LifetimeValueResult] = predict_lifetime_value,
    train_products: Callable[..., Recommender] = train_recommender,
    train_departments: Callable[..., CategoryPropensity] = train_category_propensity,
    train_responses: Callable[..., CampaignResponse] = train_campaign_response,
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Every model, and the tables that record their runs and refusals.

    ``currency`` is what amounts are told in.
    """
    return [
        clusters_asset(settings, cluster, is_refit_asked=refit_clusters),
        churn_asset(settings, train_churn),
        value_asset(settings, currency, predict_value),
        *recommendation_assets(settings, train_products, train_departments),
        campaigns_asset(settings, train_responses),
        *ledger_specs(
            [
                MATCH_SCORES,
                CLUSTER_ASSIGNMENTS,
                CHURN_SCORES,
                LIFETIME_VALUES,
                RECOMMENDATIONS,
                CATEGORY_PROPENSITY,
                CAMPAIGN_RESPONSES,
            ]
        ),
    ]
