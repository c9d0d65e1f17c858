"""What a fit reads of a large company: everybody today, and whole customers of a sample before."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from dagster_project.assets.samples import features_known, in_sample
from dagster_project.resources import Warehouse, warehouse_of
from dagster_project.settings import Settings, SettingsError

TODAY = date(2026, 6, 28)
DAYS = [TODAY - timedelta(28 * number) for number in range(4)]
MART = "marts.mart_customer_features"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A thousand customers on four days."""
    warehouse = warehouse_of(Settings(home=tmp_path, memory_limit="512MiB"))
    with warehouse.connect() as connection:
        connection.execute("create schema raw; create schema marts")
        connection.execute(f"create table raw.as_of as select date '{TODAY}' as as_of_date")
        connection.execute(
            f"create table {MART} as select 'c' || n as customer_id, "
            f"date '{TODAY}' - 28 * day::integer as as_of_date, n as tenure_days, 'x' as unread "
            "from range(1000) as a(n) cross join range(4) as b(day)"
        )
    return warehouse


def test_a_sample_holds_whole_customers_and_everybody_of_today(warehouse: Warehouse) -> None:
    columns = ("customer_id", "as_of_date", "tenure_days")
    chosen = in_sample(warehouse, MART, 1_000)
    known = features_known(warehouse, columns, chosen)
    assert known.columns == list(columns)
    by_day = known.group_by("as_of_date").n_unique().sort("as_of_date", descending=True)
    assert by_day["as_of_date"].to_list() == DAYS
    today, *before = by_day["customer_id"]
    assert today == 1_000
    assert len(set(before)) == 1
    assert 200 < before[0] < 300  # a quarter

    with warehouse.connect() as connection:
        connection.execute(f"create or replace table {MART} as from {MART} order by tenure_days")
    again = features_known(warehouse, columns, chosen)
    assert again.sort(columns).equals(known.sort(columns))


def test_a_small_company_is_read_whole(warehouse: Warehouse) -> None:
    chosen = in_sample(warehouse, MART, 4_000)
    assert features_known(warehouse, ["customer_id"], chosen).height == 4_000


def test_the_engine_holds_no_more_memory_than_it_may(warehouse: Warehouse) -> None:
    assert warehouse.read("select current_setting('memory_limit')").item() == "512.0 MiB"
    given = Settings.from_environment({"DSEGMENT_MEMORY_LIMIT": "4GB"})
    assert given.exported()["DSEGMENT_MEMORY_LIMIT"] == "4GB"


@pytest.mark.parametrize("text", ["4", "lots", "4 gigabytes"])
def test_a_limit_that_the_engine_would_not_understand_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=f"DSEGMENT_MEMORY_LIMIT is '{text}'; write an amount"):
        Settings.from_environment({"DSEGMENT_MEMORY_LIMIT": text})
