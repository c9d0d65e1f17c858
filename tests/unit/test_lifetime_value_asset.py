"""The asset of lifetime values: a horizon that cannot be learned is named, and old rows stay."""

from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl

from dagster_project.assets.values import HORIZONS, value_asset
from dagster_project.resources import Write, warehouse_of
from dagster_project.settings import Settings
from dagster_project.tables import LIFETIME_VALUES
from ml.lifetime_value import FEATURES, predict_lifetime_value
from ml.value_rows import READ

TODAY = date(2024, 12, 29)


def test_too_few_customers_are_a_named_outcome_and_the_last_good_rows_stay(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    warehouse = warehouse_of(settings)
    warehouse.ensure_tables()
    columns = ", ".join(f"1.0 as {name}" for name in dict.fromkeys((*READ, *FEATURES)))
    with warehouse.connect() as connection:
        connection.execute("create schema raw; create schema marts")
        connection.execute(f"create table raw.as_of as select date '{TODAY}' as as_of_date")
        connection.execute(
            "create table marts.mart_customer_features as select 'c' || n as customer_id, "
            f"date '{TODAY}' as as_of_date, {columns} from range(12) as numbers(n)"
        )
        connection.execute(
            "create table marts.mart_value_labels as select customer_id, as_of_date, "
            "28 as horizon_days, as_of_date as label_until_date, 1 as order_count, "
            "1.0 as spend_amount from marts.mart_customer_features limit 0"
        )
    old = pl.DataFrame(
        [("c1", date(2024, 12, 28), 28, "run", 1.0, 9.0, 8.0, 1)],
        schema=[column.name for column in LIFETIME_VALUES.columns],
        orient="row",
    )
    warehouse.write(Write(LIFETIME_VALUES, old))

    run = dg.materialize(
        [value_asset(settings, "USD", predict_lifetime_value)], resources={"warehouse": warehouse}
    )

    (event,) = run.asset_materializations_for_node("lifetime_values")
    message = "not enough history: 12 customers, 50 needed to train a model of value"
    assert event.metadata["outcomes"].value == {f"{days} days": message for days in HORIZONS}
    assert warehouse.read("ml.lifetime_values").rows() == old.rows()
    assert warehouse.read("from ml.model_refusals order by all").rows() == sorted(
        (f"lifetime_value_{days}d", TODAY, message) for days in HORIZONS
    )
