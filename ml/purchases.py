"""Who bought what on which day, as three arrays, and what each pair of them looks like on a day.

Here belong the checked form of `marts.mart_product_purchases` and the facts that every recommender
reads from it as of a day: how often, how lately, how regularly. What is made of them belongs to
`ml.repeat_purchase` and `ml.cross_sell`.

Customers and products go by number, their place in the lists of ids: a purchase takes twelve bytes,
and a million customers with twenty purchases each a quarter of a gigabyte.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from ml.errors import BadFeature, RepeatedCustomer

EPOCH = dt.date(1970, 1, 1)
TREE = ("department", "category", "product_type")
COLUMNS = ("customer_number", "product_number", "order_date")


@dataclass(frozen=True)
class Purchases:
    """One entry per customer, product and day of purchase, in this order; days count from 1970."""

    customer: np.ndarray
    product: np.ndarray
    day: np.ndarray
    customer_count: int
    product_count: int

    @classmethod
    def of(cls, frame: pl.DataFrame, *, customer_count: int, product_count: int) -> Purchases:
        """Check a frame of `COLUMNS` and take it over.

        Raises:
            BadFeature: a column is absent, empty somewhere, or a number is in no list of ids.
            RepeatedCustomer: a customer bought a product twice on a day.

        """
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            raise BadFeature(f"purchases lack {', '.join(missing)}")
        frame = frame.select(COLUMNS).sort(COLUMNS)
        empty = [name for name in COLUMNS if frame[name].null_count()]
        if empty:
            raise BadFeature(f"purchases are empty somewhere in {', '.join(empty)}")
        for name, count in (("customer_number", customer_count), ("product_number", product_count)):
            if frame.height and not (frame[name].min() >= 0 and frame[name].max() < count):
                raise BadFeature(f"a {name} lies outside of the list of {count:,} ids")
        bought = cls(
            frame["customer_number"].cast(pl.Int32).to_numpy(),
            frame["product_number"].cast(pl.Int32).to_numpy(),
            frame["order_date"].cast(pl.Date).to_physical().to_numpy(),
            customer_count,
            product_count,
        )
        same = (
            (bought.customer[1:] == bought.customer[:-1])
            & (bought.product[1:] == bought.product[:-1])
            & (bought.day[1:] == bought.day[:-1])
        )
        if same.any():
            raise RepeatedCustomer(f"{same.sum():,} purchases repeat customer, product and day")
        return bought

    def until(self, day: int) -> Purchases:
        """Return what was bought by the end of a day."""
        return self._where(self.day <= day)

    def within(self, after: int, until: int) -> Purchases:
        """Return what was bought in (after, until]."""
        return self._where((self.day > after) & (self.day <= until))

    def of_customers(self, is_chosen: np.ndarray) -> Purchases:
        """Return the purchases of chosen customers, one truth value for each of all customers."""
        return self._where(is_chosen[self.customer])

    def keys(self) -> np.ndarray:
        """Return the distinct pairs of customer and product, each as one number, in order."""
        keys = self.customer.astype(np.int64) * self.product_count + self.product
        return keys[_starts(keys)]

    def of_numbers(self, customers: np.ndarray) -> Purchases:
        """Return the purchases of customers by their numbers."""
        return self._where(np.isin(self.customer, customers))

    def of_range(self, begin: int, end: int) -> Purchases:
        """Return the purchases of the customers with numbers in [begin, end), without a copy."""
        first, last = np.searchsorted(self.customer, [begin, end])
        return self._where(slice(first, last))

    def buyers(self) -> np.ndarray:
        """Return for each of all customers whether it bought anything."""
        return np.bincount(self.customer, minlength=self.customer_count) > 0

    def _where(self, chosen: np.ndarray | slice) -> Purchases:
        return Purchases(
            self.customer[chosen],
            self.product[chosen],
            self.day[chosen],
            self.customer_count,
            self.product_count,
        )


class Pairs:
    """One entry per customer and product bought by the end of `day`, and its facts on that day."""

    def __init__(self, bought: Purchases, day: int) -> None:
        self.bought, self.at = bought.until(day), day
        keys = self.bought.customer.astype(np.int64) * bought.product_count + self.bought.product
        self._starts = _starts(keys)
        self.key = keys[self._starts]
        self.customer = self.bought.customer[self._starts]
        self.product = self.bought.product[self._starts]

    def __len__(self) -> int:
        return len(self.key)

    @cached_property
    def count(self) -> np.ndarray:
        """Days on which it was bought."""
        return np.diff(np.r_[self._starts, len(self.bought.day)])

    @cached_property
    def age_of_first(self) -> np.ndarray:
        """Days since it was first bought."""
        return self.at - self.bought.day[self._starts]

    @cached_property
    def age_of_last(self) -> np.ndarray:
        """Days since it was last bought."""
        return self.at - self.bought.day[self._starts + self.count - 1]

    @cached_property
    def mean_gap(self) -> np.ndarray:
        """Mean days between its purchases; NaN when there was one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = (self.age_of_first - self.age_of_last) / (self.count - 1)
        return np.where(self.count > 1, gap, np.nan)

    def decayed(self, half_life: float) -> np.ndarray:
        """Return the count with a purchase of `half_life` days ago worth half of one of today."""
        if not len(self):
            return np.empty(0)
        weight = np.exp2((self.bought.day - self.at) / half_life)
        return np.add.reduceat(weight, self._starts)

    def buyers_of_product(self, within_days: int) -> np.ndarray:
        """Return for each product how many customers bought it in the last days."""
        recent = self.product[self.age_of_last < within_days]
        return np.bincount(recent, minlength=self.bought.product_count)


@dataclass(frozen=True)
class ProductTree:
    """Which node of each level a product hangs under; a product that names none has one too.

    `levels` goes from the finest, product type, to the coarsest, department.
    """

    levels: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, products: pl.DataFrame) -> ProductTree:
        """Number the nodes of a frame of `TREE`, one row per product."""
        paths = [TREE[:depth] for depth in range(len(TREE), 0, -1)]
        return cls(
            tuple(
                products.select(
                    pl.concat_str(
                        (pl.col(name).cast(pl.String).fill_null("") for name in path),
                        separator="\x1f",
                    ).rank("dense")
                )
                .to_series()
                .to_numpy()
                .astype(np.int64)
                - 1
                for path in paths
            )
        )


def day_number(day: dt.date) -> int:
    """Return a date as the days since 1970."""
    return (day - EPOCH).days


def _starts(keys: np.ndarray) -> np.ndarray:
    """Where each run of equal values begins."""
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
