"""Sent campaigns → how likely each customer redeems a coupon of the next one.

What belongs here: which tables feed the model. What does not: how responses are foreseen
(``ml.campaign_response``).
"""

from collections.abc import Callable

import dagster as dg
import polars as pl

from dagster_project.assets.champions import scored_by_champion
from dagster_project.assets.model_runs import keep_lists, model_spec, refused
from dagster_project.assets.pictures import redemption_pictures
from dagster_project.assets.samples import features_known, in_sample
from dagster_project.feature_dictionary import feature_policies
from dagster_project.resources import Warehouse
from dagster_project.settings import Settings
from dagster_project.tables import CAMPAIGN_RESPONSES
from ml.campaign_response import CampaignResponse, scores
from ml.campaign_rows import CUSTOMER_FACTS
from ml.errors import ModelRefused

INPUTS = (
    dg.AssetKey(["marts", "mart_customer_features"]),
    dg.AssetKey(["marts", "mart_campaign_responses"]),
)
MOST_TRAINING_SENDS = 200_000


def campaigns_asset(
    settings: Settings, train_responses: Callable[..., CampaignResponse]
) -> dg.AssetsDefinition:
    """``ml.campaign_responses``."""

    @dg.multi_asset(
        name="campaign_responses",
        specs=[model_spec(CAMPAIGN_RESPONSES, INPUTS)],
        pool="warehouse",
    )
    def score_responses(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        warehouse.require_gates(["marts.mart_customer_features"])
        policies = feature_policies(settings.project_dir)
        sends = _sends(warehouse)
        try:
            model = train_responses(**sends, policies=policies)
        except ModelRefused as refusal:
            newest = sends["features"].filter(pl.col("as_of_date") == warehouse.as_of())
            rows = scored_by_champion(
                settings,
                warehouse,
                CAMPAIGN_RESPONSES.name,
                refusal,
                lambda model: pl.concat(scores(model, newest)),
            )
            return refused(context, warehouse, CAMPAIGN_RESPONSES, refusal, rows=rows)
        return keep_lists(
            context, settings, warehouse, CAMPAIGN_RESPONSES, model, INPUTS, redemption_pictures
        )

    return score_responses


def _sends(warehouse: Warehouse) -> dict[str, pl.DataFrame]:
    """Return all customers of today, and the past of as many as training needs."""
    mart = "marts.mart_campaign_responses"
    chosen = in_sample(warehouse, mart, MOST_TRAINING_SENDS)
    sent = f"{chosen} and customer_id in (select customer_id from {mart})"
    return {
        "responses": warehouse.read(f"select * from {mart} where {chosen}"),
        "features": features_known(warehouse, ("customer_id", "as_of_date", *CUSTOMER_FACTS), sent),
    }
