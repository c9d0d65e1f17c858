"""Purchases → what to offer each customer next: products, and departments.

What belongs here: which tables feed the two models, and keeping their files and records.
What does not: how products or departments are ranked (``ml.recommendation``,
``ml.category_propensity``).
"""

from collections.abc import Callable

import dagster as dg
import polars as pl

from dagster_project.assets.model_runs import keep_lists, model_spec, refused
from dagster_project.assets.pictures import purchase_pictures
from dagster_project.assets.samples import features_known, in_sample
from dagster_project.resources import Warehouse
from dagster_project.settings import Settings
from dagster_project.tables import CATEGORY_PROPENSITY, RECOMMENDATIONS
from ml import category_propensity
from ml.category_propensity import CategoryPropensity
from ml.errors import ModelRefused
from ml.recommendation import Recommender

PURCHASES = (
    dg.AssetKey(["core", "dim_customers"]),
    dg.AssetKey(["core", "dim_products"]),
    dg.AssetKey(["marts", "mart_product_purchases"]),
)
WINDOWS = (
    dg.AssetKey(["marts", "mart_customer_features"]),
    dg.AssetKey(["marts", "mart_department_windows"]),
)
MOST_TRAINING_CUSTOMERS = 50_000


def recommendation_assets(
    settings: Settings,
    train_products: Callable[..., Recommender],
    train_departments: Callable[..., CategoryPropensity],
) -> list[dg.AssetsDefinition]:
    """``ml.recommendations`` and ``ml.category_propensity``."""

    @dg.multi_asset(
        name="recommendations",
        specs=[model_spec(RECOMMENDATIONS, PURCHASES)],
        pool="warehouse",
    )
    def recommend(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        warehouse.require_gates(["marts.mart_product_purchases"])
        try:
            model = train_products(**_purchases(warehouse), as_of_date=warehouse.as_of())
        except ModelRefused as refusal:
            return refused(context, warehouse, RECOMMENDATIONS, refusal)
        return keep_lists(context, settings, warehouse, RECOMMENDATIONS, model, PURCHASES)

    @dg.multi_asset(
        name="category_propensity",
        specs=[model_spec(CATEGORY_PROPENSITY, WINDOWS)],
        pool="warehouse",
    )
    def score_departments(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        warehouse.require_gates(["marts.mart_customer_features"])
        try:
            model = train_departments(**_windows(warehouse))
        except ModelRefused as refusal:
            return refused(context, warehouse, CATEGORY_PROPENSITY, refusal)
        return keep_lists(
            context, settings, warehouse, CATEGORY_PROPENSITY, model, WINDOWS, purchase_pictures
        )

    return [recommend, score_departments]


def _purchases(warehouse: Warehouse) -> dict[str, pl.DataFrame]:
    """Customers and products stand in the order that the numbers in the mart count in."""
    return {
        "purchases": warehouse.read(
            "select customer_number, product_number, order_date from marts.mart_product_purchases"
        ),
        "customers": warehouse.read("select customer_id from core.dim_customers order by all"),
        "products": warehouse.read(
            "select product_id, department, category, product_type from core.dim_products "
            "order by product_id"
        ),
    }


def _windows(warehouse: Warehouse) -> dict[str, pl.DataFrame]:
    """All customers of today, and of the days before as many as training needs."""
    chosen = in_sample(warehouse, "core.dim_customers", MOST_TRAINING_CUSTOMERS)
    names = ("customer_id", "as_of_date", *category_propensity.CUSTOMER_FACTS)
    return {
        "windows": warehouse.read(
            f"select * from marts.mart_department_windows where as_of_date = $day or {chosen}",
            {"day": warehouse.as_of()},
        ),
        "features": features_known(warehouse, names, chosen),
    }
