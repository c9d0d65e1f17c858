"""What a customer may buy for the first time: what speaks for a product that it never bought.

Here belong the candidates of the kind `cross_sell`, the three views that propose them, and the
reason in words. Ranking and judging belong to `ml.recommendation`.

- item-item: how alike the circles of buyers of two products are (cosine), summed over what the
  customer bought;
- ALS: customers and products as points, near where they go together. Only the products' points
  are kept, a customer's is worked out from its purchases;
- content: which share of the customer's purchases hangs under the product's type, category and
  department. It needs no buyer of the product, so it speaks for new ones too.

Popularity of the last weeks stands beside them all. Only products that sell are offered; where the
catalogue is small, those that nobody bought yet are offered too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from ml.candidates import Candidates
from ml.purchases import TREE, Pairs, ProductTree, Purchases
from ml.ranking import rank_in_runs
from ml.threads import one_thread

LEVELS = ("type", "category", "department")
NAMES = (
    "buyers_28d",
    "buyers_56d",
    "new_buyers_28d",
    "buyers",
    "trend",
    "new_buyer_share",
    "item_item",
    "item_item_decayed",
    "item_item_relative",
    "als",
    *(f"share_of_{level}" for level in LEVELS),
    *(f"popularity_in_{level}" for level in LEVELS),
    "customer_products",
    "customer_new_products_28d",
)
MOST_PRODUCTS = 3_000  # as good as 8,000 on Complete Journey, at half the time
MOST_LEARNED_CUSTOMERS = 50_000
NEIGHBOURS = 100
FACTORS, ALPHA, PENALTY, ROUNDS = 64, 10.0, 0.05, 10
HALF_LIFE_DAYS = 84
CUSTOMERS_AT_ONCE = 200
PARTNERS, PRIOR_BUYERS = 50, 10


@dataclass(frozen=True)
class CrossSell:
    """What is known on a day of the products that may be offered; rows follow `products`."""

    day: int
    tree: ProductTree
    products: np.ndarray
    facts: np.ndarray  # buyers_28d, buyers_56d, new_buyers_28d, buyers
    in_node: np.ndarray  # buyers in 28 days over those of the node, one column a level
    similar: sp.csr_matrix
    factors: np.ndarray

    names = NAMES
    baselines = ("popularity",)

    @classmethod
    def fit(cls, pairs: Pairs, tree: ProductTree, *, seed: int) -> CrossSell:
        """Choose the products on offer, and learn which go together."""
        count = pairs.bought.product_count
        buyers, lately = np.bincount(pairs.product, minlength=count), pairs.buyers_of_product(56)
        order = np.lexsort((np.arange(count), -buyers, -lately))
        products = np.sort(order[:MOST_PRODUCTS])
        recent = pairs.buyers_of_product(28)
        new = np.bincount(pairs.product[pairs.age_of_first < 28], minlength=count)
        in_node = [
            (recent / np.maximum(np.bincount(nodes, recent)[nodes], 1))[products]
            for nodes in tree.levels
        ]
        facts = np.column_stack([recent, lately, new, buyers])[products].astype(np.float64)
        # Who goes with what is learned from a sample where there are very many customers.
        known = np.flatnonzero(np.bincount(pairs.customer, minlength=pairs.bought.customer_count))
        if len(known) > MOST_LEARNED_CUSTOMERS:
            chosen = np.random.default_rng(seed).permutation(len(known))[:MOST_LEARNED_CUSTOMERS]
            known = known[np.sort(chosen)]
        owned, weighted, _ = _profiles(pairs, products, known)
        with one_thread():
            similar = _similar(owned)
            factors = _factors(weighted, seed)
        return cls(pairs.at, tree, products, facts, np.column_stack(in_node), similar, factors)

    def candidates(self, bought: Purchases, customers: np.ndarray) -> Candidates:
        """Return products that `customers`, in order, never bought, the likeliest by each view."""
        parts = [
            self._candidates(bought, customers[begin : begin + CUSTOMERS_AT_ONCE])
            for begin in range(0, len(customers), CUSTOMERS_AT_ONCE)
        ]
        return Candidates.joined(parts)

    def _candidates(self, bought: Purchases, customers: np.ndarray) -> Candidates:
        inside = bought.of_range(customers[0], customers[-1] + 1)
        pairs = Pairs(inside.of_numbers(customers), self.day)
        owned, weighted, decayed = _profiles(pairs, self.products, customers)
        has = owned.toarray() > 0
        popular = np.broadcast_to(self.facts[:, 0], has.shape)
        lift = np.sqrt(1 + popular)
        together = (owned @ self.similar).toarray()
        together_lately = (decayed @ self.similar).toarray()
        with one_thread():
            near = np.maximum(_points(self.factors, weighted) @ self.factors.T, 0)
        shares = self._shares(pairs, customers)
        content = sum(shares) * lift
        chosen = np.zeros(has.shape, dtype=bool)
        views = (popular, together * lift, together_lately * lift, near * popular, content)
        for view, many in zip(views, (80, 80, 80, 80, 40), strict=True):
            cost = np.where(has, np.inf, -view).astype(np.float32)
            many = min(many, cost.shape[1])
            top = np.argpartition(cost, many - 1, axis=1)[:, :many]
            np.put_along_axis(chosen, top, True, axis=1)
        row, column = np.nonzero(chosen & ~has)
        recent, lately, new, _ = facts = self.facts[column].T
        relative = together / np.maximum(together.max(axis=1, initial=0), 1e-9)[:, None]
        theirs = np.searchsorted(customers, pairs.customer)
        known = np.bincount(theirs, minlength=len(customers))
        fresh = np.bincount(theirs[pairs.age_of_first < 28], minlength=len(customers))
        matrix = np.column_stack(
            [
                *facts,
                recent / np.maximum(lately, 1),
                new / np.maximum(recent, 1),
                together[row, column],
                together_lately[row, column],
                relative[row, column],
                near[row, column],
                *(share[row, column] for share in shares),
                *self.in_node[column].T,
                known[row],
                fresh[row],
            ]
        ).astype(np.float32)
        return Candidates(customers[row], self.products[column], matrix, NAMES)

    def singles(self, found: Candidates) -> dict[str, dict[Any, np.ndarray]]:
        """Return the scores that need no training, by method and its one parameter.

        The parameter is the power of popularity that goes with the view.
        """
        of = found.column
        popular = of("buyers_28d")
        content = sum(
            of(f"share_of_{level}") * (of(f"popularity_in_{level}") + 1e-6) for level in LEVELS
        )
        powers = (0.0, 0.5, 1.0)
        return {
            "popularity": {None: popular},
            "item_item": {power: of("item_item") * (1 + popular) ** power for power in powers},
            "als": {power: of("als") * (1 + popular) ** power for power in powers},
            "content": {None: content},
        }

    def reasons(self, found: Candidates, bought: Purchases, products: pl.DataFrame) -> pl.Series:
        """Name the product that speaks for it most, or else the shelf that the customer knows."""
        if not len(found):
            return pl.Series("reason", [], dtype=pl.String)
        customers, row = np.unique(found.customer, return_inverse=True)
        owned, _, _ = _profiles(Pairs(bought, self.day), self.products, customers)
        place = np.searchsorted(self.products, found.product)
        speaking = owned[row].multiply(self._partners[place]).tocsr()
        strongest = np.asarray(speaking.argmax(axis=1)).ravel()
        speaks = np.asarray(speaking.max(axis=1).todense()).ravel() > 0
        shelf = [pl.col(name).cast(pl.String) for name in reversed(TREE)]
        named = products.select(
            shelf=pl.coalesce(*shelf, pl.lit("its kind")),
            name=pl.format("{} ({})", pl.coalesce(*shelf, pl.lit("product")), "product_id"),
        )
        known_shelf = sum(found.column(f"share_of_{level}") for level in LEVELS) > 0
        return (
            pl.DataFrame(
                {
                    "partner": named["name"][self.products[strongest].tolist()],
                    "shelf": named["shelf"][found.product.tolist()],
                    "speaks": speaks,
                    "known": known_shelf,
                }
            )
            .select(
                pl.when("speaks")
                .then(pl.format("bought together with {}, which the customer has", "partner"))
                .when("known")
                .then(pl.format("popular in {}, where the customer buys", "shelf"))
                .otherwise(pl.lit("popular with customers now"))
                .alias("reason")
            )
            .to_series()
        )

    @cached_property
    def _partners(self) -> sp.csr_matrix:
        """For each product (rows) those whose buyers buy it most: the few that explain it best.

        A share of the partner's buyers, not the cosine: what everybody has explains nothing.
        """
        near, buyers = self.similar.tocsc(), self.facts[:, 3]
        weight = np.sqrt(buyers) / (buyers + PRIOR_BUYERS)
        value = near.data * weight[near.indices]
        column = np.repeat(np.arange(near.shape[1]), np.diff(near.indptr))
        order = np.lexsort((near.indices, -value, column))
        kept = order[rank_in_runs(column[order]) < PARTNERS]
        return sp.csr_matrix((value[kept], (column[kept], near.indices[kept])), shape=near.shape)

    def _shares(self, pairs: Pairs, customers: np.ndarray) -> list[np.ndarray]:
        """Return for each level the share of the customer's purchases under the product's node."""
        decayed, row = pairs.decayed(HALF_LIFE_DAYS), np.searchsorted(customers, pairs.customer)
        total = np.maximum(np.bincount(row, decayed, minlength=len(customers)), 1e-9)
        shares = []
        for nodes in self.tree.levels:
            shape = (len(customers), nodes.max(initial=0) + 1)
            spent = sp.csr_matrix((decayed / total[row], (row, nodes[pairs.product])), shape=shape)
            shares.append(spent.toarray()[:, nodes[self.products]])
        return shares


def _profiles(
    pairs: Pairs, products: np.ndarray, customers: np.ndarray
) -> tuple[sp.csr_matrix, sp.csr_matrix, sp.csr_matrix]:
    """Return what customers (rows) bought of products (columns): at all, as ALS weighs it, decayed.

    Both lists are in order.
    """
    shape = (len(customers), len(products))
    if not len(pairs) or not all(shape):
        return (sp.csr_matrix(shape),) * 3
    row = np.minimum(np.searchsorted(customers, pairs.customer), len(customers) - 1)
    column = np.minimum(np.searchsorted(products, pairs.product), len(products) - 1)
    inside = (customers[row] == pairs.customer) & (products[column] == pairs.product)
    where = (row[inside], column[inside])
    decayed = pairs.decayed(HALF_LIFE_DAYS)[inside]
    return tuple(
        sp.csr_matrix((values, where), shape=shape)
        for values in (np.ones(len(decayed)), np.log1p(3 * decayed), decayed)
    )


def _similar(owned: sp.csr_matrix) -> sp.csr_matrix:
    """Return the cosine of each product with its nearest others."""
    from implicit._nearest_neighbours import all_pairs_knn

    length = np.sqrt(np.asarray(owned.sum(axis=0)).ravel())
    unit = (owned @ sp.diags(1 / np.maximum(length, 1))).tocsr()
    near = all_pairs_knn(unit, NEIGHBOURS, num_threads=1, show_progress=False).tocsr()
    near = (near - sp.diags(near.diagonal())).tocsr()
    near.eliminate_zeros()
    near.sort_indices()
    return near


def _factors(weighted: sp.csr_matrix, seed: int) -> np.ndarray:
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=FACTORS,
        regularization=PENALTY,
        alpha=ALPHA,
        iterations=ROUNDS,
        random_state=seed,
        num_threads=1,
    )
    model.fit(weighted.astype(np.float32), show_progress=False)
    return np.asarray(model.item_factors)


def _points(factors: np.ndarray, weighted: sp.csr_matrix) -> np.ndarray:
    """Return where customers stand among the products' points, as one step of ALS puts them."""
    base = factors.T @ factors + PENALTY * np.eye(factors.shape[1])
    points = np.zeros((weighted.shape[0], factors.shape[1]))
    for row in range(weighted.shape[0]):
        inside = slice(weighted.indptr[row], weighted.indptr[row + 1])
        theirs, weight = factors[weighted.indices[inside]], ALPHA * weighted.data[inside]
        if len(theirs):
            left = base + theirs.T @ ((weight - 1)[:, None] * theirs)
            points[row] = np.linalg.solve(left, weight @ theirs)
    return points
