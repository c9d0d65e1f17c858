"""What a customer buys again: every product it bought before, and what speaks for each.

Here belong the candidates of the kind `repeat`, the facts they are ranked by, and the reason in
words. Ranking and judging belong to `ml.recommendation`.

A count with decay remembers what was bought often and forgets what is over. Beside it stand how
regularly the product is bought and how much of its rhythm has passed, whether those who once bought
it tend to come back to it, and how often the customer comes at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ml.candidates import Candidates
from ml.purchases import Pairs, ProductTree, Purchases
from ml.ranking import best

HALF_LIVES = (14, 28, 56, 112, 224)
NAMES = (
    "purchase_days",
    "days_since_last",
    "days_since_first",
    *(f"decayed_{days}" for days in HALF_LIVES),
    "mean_gap_days",
    "recency_over_gap",
    "product_repeat_share",
    "product_buyers_28d",
    "product_still_bought_share",
    "customer_days_28d",
    "customer_days",
    "share_of_customer_days",
    "kind_decayed",
    "kind_products",
)
ONCE_GAP_DAYS = 365  # the rhythm of what was bought once: nobody knows a shorter one
KEPT = 60  # candidates of a customer
PRIOR_PAIRS = 10  # how many pairs the share of the kind, or of all, counts for


@dataclass(frozen=True)
class RepeatPurchase:
    """What is known of each product on a day; customers are looked at when they are scored."""

    day: int
    tree: ProductTree
    repeat_share: np.ndarray
    buyers_28d: np.ndarray
    still_bought_share: np.ndarray

    names = NAMES
    baselines = ("own_frequency", "popularity")

    @classmethod
    def fit(cls, pairs: Pairs, tree: ProductTree, *, seed: int) -> RepeatPurchase:
        """Count who came back to a product in the last 28 days, of those who knew it before."""
        del seed  # nothing is drawn
        count, kind = pairs.bought.product_count, tree.levels[0]
        knew = pairs.age_of_first >= 28
        knew_count = np.bincount(pairs.product[knew], minlength=count)
        back = np.bincount(pairs.product[knew & (pairs.age_of_last < 28)], minlength=count)
        overall = back.sum() / max(knew_count.sum(), 1)
        of_kind = (np.bincount(kind, back) + PRIOR_PAIRS * overall) / (
            np.bincount(kind, knew_count) + PRIOR_PAIRS
        )
        buyers, ever = pairs.buyers_of_product(28), np.bincount(pairs.product, minlength=count)
        return cls(
            pairs.at,
            tree,
            (back + PRIOR_PAIRS * of_kind[kind]) / (knew_count + PRIOR_PAIRS),
            buyers.astype(np.float64),
            buyers / np.maximum(ever, 1),
        )

    def candidates(self, bought: Purchases, customers: np.ndarray) -> Candidates:
        """Return what `customers` bought by the day, the `KEPT` likeliest of each."""
        pairs = Pairs(bought, self.day)
        customer, product = pairs.customer, pairs.product
        decayed = {days: pairs.decayed(days) for days in HALF_LIVES}
        visits = np.unique(
            pairs.bought.customer.astype(np.int64) * 100_000 + (self.day - pairs.bought.day)
        )
        visitor, age = visits // 100_000, visits % 100_000
        size = bought.customer_count
        days_28 = np.bincount(visitor[age < 28], minlength=size)
        days_all = np.bincount(visitor, minlength=size)
        kind = self.tree.levels[0]
        kinds = customer.astype(np.int64) * (kind.max(initial=0) + 1) + kind[product]
        _, place = np.unique(kinds, return_inverse=True)
        gap = np.where(pairs.count > 1, np.nan_to_num(pairs.mean_gap), ONCE_GAP_DAYS)
        matrix = np.column_stack(
            [
                pairs.count,
                pairs.age_of_last,
                pairs.age_of_first,
                *decayed.values(),
                gap,
                pairs.age_of_last / np.maximum(gap, 1),
                self.repeat_share[product],
                self.buyers_28d[product],
                self.still_bought_share[product],
                days_28[customer],
                days_all[customer],
                pairs.count / np.maximum(days_all[customer], 1),
                np.bincount(place, decayed[56])[place] if len(place) else np.empty(0),
                np.bincount(place)[place] if len(place) else np.empty(0),
            ]
        ).astype(np.float32)
        kept = best(customer, product, decayed[112], KEPT)
        kept = kept[np.isin(customer[kept], customers)]
        return Candidates(customer[kept], product[kept], matrix[kept], NAMES)

    def singles(self, found: Candidates) -> dict[str, dict[Any, np.ndarray]]:
        """Return the scores that need no training, by method and its one parameter."""
        of = found.column
        # Ties of a small whole number go to what was bought last.
        lately = 1 / (2 + of("days_since_last"))
        return {
            "own_frequency": {None: of("purchase_days") + lately},
            "popularity": {None: of("product_buyers_28d") + lately},
            "decay": {days: of(f"decayed_{days}") for days in HALF_LIVES},
        }

    def reasons(self, found: Candidates, bought: Purchases, products: pl.DataFrame) -> pl.Series:
        """Say how often and in which rhythm."""
        del bought, products
        facts = pl.DataFrame(
            {
                "n": np.rint(found.column("purchase_days")).astype(np.int64),
                "gap": np.maximum(np.rint(found.column("mean_gap_days")), 1).astype(np.int64),
                "last": np.rint(found.column("days_since_last")).astype(np.int64),
            }
        )
        last = (
            pl.when(pl.col("last") == 0)
            .then(pl.lit("today"))
            .when(pl.col("last") == 1)
            .then(pl.lit("yesterday"))
            .otherwise(pl.format("{} days ago", "last"))
        )
        every = (
            pl.when(pl.col("gap") == 1)
            .then(pl.lit("about every day"))
            .otherwise(pl.format("about every {} days", "gap"))
        )
        often = (
            pl.when(pl.col("n") == 2).then(pl.lit("twice")).otherwise(pl.format("{} times", "n"))
        )
        return facts.select(
            pl.when(pl.col("n") == 1)
            .then(pl.format("bought once, {}", last))
            .otherwise(pl.format("bought {}, {}, last {}", often, every, last))
            .alias("reason")
        ).to_series()
