"""Whom a fit learns from where a company has more customers than a fit can take.

What belongs here: the sample, and the features of everybody today beside those of a sample before.
What does not: how many rows a model takes and which columns it reads (its asset).
"""

from collections.abc import Iterable

import polars as pl

from dagster_project.resources import Warehouse


def in_sample(warehouse: Warehouse, table: str, most_rows: int) -> str:
    """A condition on ``customer_id`` that holds for about ``most_rows`` rows of ``table``.

    For all of them if there are no more. Whole customers, so that each keeps all its snapshots; by
    a hash, so that they are the same ones in every table and in whatever order rows come.
    """
    every = max(-(-warehouse.counts([table])[table] // most_rows), 1)
    return f"hash(customer_id) % {every} = 0"


def features_known(warehouse: Warehouse, columns: Iterable[str], chosen: str) -> pl.DataFrame:
    """Features of everybody today, who is to be scored, and of the ``chosen`` on the days before.

    One row per customer and day, in no order.
    """
    return warehouse.read(
        f"select {', '.join(columns)} from marts.mart_customer_features "
        f"where as_of_date = $day or ({chosen})",
        {"day": warehouse.as_of()},
    )
