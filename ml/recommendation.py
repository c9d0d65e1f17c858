"""Next best product: what each customer is offered, again or for the first time.

Here belong the holdouts by time, training of the blend, the choice of the method that serves, and
the lists with their reasons. What speaks for a product is in `ml.repeat_purchase` and
`ml.cross_sell`; the mart behind them is `marts.mart_product_purchases`.

Both kinds are judged apart, since they are different questions: buying again is foreseen many times
better than buying for the first time, and one list of both would hold repeats alone. For each kind
the views stand beside a blend, a pair of learners that reads all facts. The blend serves where it
is better than the best single view beyond noise, otherwise that view does: it is simpler.

At a cut-off only what was bought by then is known. The blend, and the parameter of each view, come
from the cut-off before it, whose outcome is complete on its day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from ml.averaged_pair import AveragedPair, PairSettings
from ml.candidates import Candidates
from ml.cross_sell import CrossSell
from ml.errors import BadFeature, CustomersAlike, NotEnoughHistory
from ml.judgement import Figure
from ml.model_runs import as_figures
from ml.purchases import EPOCH, Pairs, ProductTree, Purchases, day_number
from ml.ranking import LENGTH, best, judge_recalls, rank_in_runs, recall_of
from ml.repeat_purchase import RepeatPurchase
from ml.trained_on import digest_of

KINDS: dict[str, type[RepeatPurchase] | type[CrossSell]] = {
    "repeat": RepeatPurchase,
    "cross_sell": CrossSell,
}
FEATURES = tuple(f"{kind}.{name}" for kind, one in KINDS.items() for name in one.names)
BLEND = "blend"


@dataclass(frozen=True)
class RecommendationSettings:
    """What may be tuned; recorded as the parameters of the run."""

    seed: int = 20170101
    horizon_days: int = 28
    cut_offs: int = 2
    pair: PairSettings = field(default_factory=PairSettings)
    least_customers: int = 50
    least_finds: int = 20
    most_judged_customers: int = 4_000
    customers_at_once: int = 2_000


@dataclass(frozen=True)
class Standing:
    """What was known on `day`: the views, candidates of its buyers, and what they bought later."""

    day: int
    sources: Mapping[str, Any]
    candidates: Mapping[str, Candidates]
    truth: Mapping[str, np.ndarray]
    is_judged: np.ndarray


@dataclass(frozen=True)
class Ranker:
    """The method of one kind: a view with its parameter, and the blend once it is fitted."""

    method: str
    parameters: Mapping[str, Any]
    blend: AveragedPair | None

    def score(self, source: Any, found: Candidates) -> np.ndarray:
        """Return the score of every candidate by the method that serves."""
        return self.scores(source, found, [self.method])[self.method]

    def scores(
        self, source: Any, found: Candidates, methods: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the scores by every method, or by some; the blend's is a probability."""
        said = {
            name: variants[self.parameters[name]]
            for name, variants in source.singles(found).items()
            if methods is None or name in methods
        }
        if self.blend is not None and (methods is None or BLEND in methods):
            odds = self.blend.log_odds(found.scaled(), found.names)
            said = {BLEND: 1 / (1 + np.exp(-odds))} | said
        return said


@dataclass(frozen=True)
class Recommender:
    """What serves from `as_of_date` on, and how it was judged before."""

    as_of_date: dt.date
    bought: Purchases
    customers: pl.Series
    products: pl.DataFrame
    sources: Mapping[str, Any]
    rankers: Mapping[str, Ranker]
    trained_on: np.ndarray
    settings: RecommendationSettings
    parameters: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def features(self) -> tuple[str, ...]:
        """What it reads, in its order."""
        return FEATURES

    def lists(self) -> Iterator[pl.DataFrame]:
        """Yield the lists of all customers, some at a time: never all in memory.

        Columns: customer_id, kind, rank, product_id, score, reason.
        """
        for begin in range(0, len(self.customers), self.settings.customers_at_once):
            end = min(begin + self.settings.customers_at_once, len(self.customers))
            bought = self.bought.of_range(begin, end)
            for kind in KINDS:
                yield self._lists(kind, bought, np.arange(begin, end))

    def _lists(self, kind: str, bought: Purchases, customers: np.ndarray) -> pl.DataFrame:
        source, ranker = self.sources[kind], self.rankers[kind]
        found = source.candidates(bought, customers)
        score = ranker.score(source, found)
        places = best(found.customer, found.product, score)
        found, score = found.take(places), score[places]
        return pl.DataFrame(
            {
                "customer_id": self.customers[found.customer.tolist()],
                "kind": pl.Series([kind], dtype=pl.String).new_from_index(0, len(found)),
                "rank": (rank_in_runs(found.customer) + 1).astype(np.int32),
                "product_id": self.products["product_id"][found.product.tolist()],
                "score": np.round(score, 6),
                "reason": source.reasons(found, bought, self.products),
            }
        )

    def summary(self) -> str:
        """Say in one line how well each kind is foreseen, beside its baselines."""
        return "; ".join(
            f"{kind} by {self.rankers[kind].method}: recall@{LENGTH} "
            + ", ".join(f"{name} {figure[0]:.3f}" for name, figure in judged["recall"].items())
            for kind, judged in self.metrics["kinds"].items()
        )

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores; no customer's purchases are in it."""
        products = self.products["product_id"]
        return {
            "as_of_date": self.as_of_date.isoformat(),
            "rankers": {
                kind: {
                    "method": ranker.method,
                    "parameters": dict(ranker.parameters),
                    "blend": ranker.blend.as_parts() if ranker.blend else None,
                }
                for kind, ranker in self.rankers.items()
            },
            "sources": {kind: source.as_parts() for kind, source in self.sources.items()},
            # As an array of bytes: a list of text takes ten times the file.
            "product_ids": np.array([one.encode() for one in products]),
            "trained_on": self.trained_on,
        }


def train_recommender(
    purchases: pl.DataFrame,
    customers: pl.DataFrame,
    products: pl.DataFrame,
    *,
    as_of_date: dt.date,
    settings: RecommendationSettings | None = None,
) -> Recommender:
    """Judge the methods at the latest cut-offs, choose one a kind, and make it ready to serve.

    `purchases` has customer_number, product_number and order_date; the numbers are places in
    `customers` (customer_id) and `products` (product_id and the levels of the tree), from 0.

    Raises:
        NotEnoughHistory: too few customers bought around some cut-off, or there is none.
        BadFeature: a column is absent or empty, or a number is in no list.
        RepeatedCustomer: a purchase comes twice.

    """
    settings = settings or RecommendationSettings()
    bought, tree = _checked(purchases, customers, products)
    today = day_number(as_of_date)
    bought = bought.until(today)
    standings = _standings(bought, tree, today, settings)
    kinds = {kind: _judged(kind, standings, settings) for kind in KINDS}
    now = Pairs(bought, today)
    return Recommender(
        as_of_date=as_of_date,
        bought=bought,
        customers=customers["customer_id"],
        products=products,
        sources={kind: one.fit(now, tree, seed=settings.seed) for kind, one in KINDS.items()},
        rankers={kind: _chosen(kind, standings[0], kinds[kind], settings) for kind in KINDS},
        trained_on=digest_of(customers["customer_id"].filter(pl.Series(bought.buyers()))),
        settings=settings,
        parameters=as_figures(asdict(settings) | {"list_length": LENGTH}),
        metrics=as_figures(
            {
                "holdout_dates": [_date(one.day) for one in standings[:-1]],
                "horizon_days": settings.horizon_days,
                "judged_customer_count": int(standings[0].is_judged.sum()),
                "purchase_count": len(bought.day),
                "customer_count": int(bought.buyers().sum()),
                "kinds": kinds,
            }
        ),
    )


def _checked(
    purchases: pl.DataFrame, customers: pl.DataFrame, products: pl.DataFrame
) -> tuple[Purchases, ProductTree]:
    for name, frame in (("customer_id", customers), ("product_id", products)):
        if name not in frame.columns or frame[name].n_unique() != frame.height:
            raise BadFeature(f"{name} is absent or stands twice in its list")
    bought = Purchases.of(purchases, customer_count=customers.height, product_count=products.height)
    return bought, ProductTree.of(products)


def _standings(
    bought: Purchases, tree: ProductTree, today: int, settings: RecommendationSettings
) -> list[Standing]:
    """Return the cut-offs, the latest first; the last one only teaches the one before it."""
    standings: list[Standing] = []
    for number in range(1, settings.cut_offs + 2):
        day = today - number * settings.horizon_days
        judged = _sampled(bought.within(day - settings.horizon_days, day).buyers(), settings)
        later = bought.within(day, day + settings.horizon_days).of_customers(judged)
        customers = int(later.buyers().sum())
        if customers < settings.least_customers:
            if number > 2:
                break
            raise NotEnoughHistory(
                f"not enough history: {customers} customers bought before and after {_date(day)}, "
                f"{settings.least_customers} needed to judge recommendations"
            )
        pairs = Pairs(bought, day)
        truth, known = later.keys(), np.isin(later.keys(), pairs.key)
        sources = {kind: one.fit(pairs, tree, seed=settings.seed) for kind, one in KINDS.items()}
        theirs = bought.until(day).of_customers(judged)
        candidates = {
            kind: source.candidates(theirs, np.flatnonzero(judged))
            for kind, source in sources.items()
        }
        split = {"repeat": truth[known], "cross_sell": truth[~known]}
        standings.append(Standing(day, sources, candidates, split, judged))
    return standings


def _sampled(is_buyer: np.ndarray, settings: RecommendationSettings) -> np.ndarray:
    """Bound the cost of judging and training; scoring leaves nobody out."""
    buyers = np.flatnonzero(is_buyer)
    if len(buyers) <= settings.most_judged_customers:
        return is_buyer
    chosen = np.random.default_rng(settings.seed).permutation(buyers)
    sampled = np.zeros(len(is_buyer), dtype=bool)
    sampled[chosen[: settings.most_judged_customers]] = True
    return sampled


def _judged(
    kind: str, standings: Sequence[Standing], settings: RecommendationSettings
) -> dict[str, Any]:
    """Judge every method at each cut-off and on average, and name the one that serves."""
    cut_offs = []
    for standing, before in pairwise(standings):
        ranker = _trained(kind, before, settings)
        found = standing.candidates[kind]
        cut_offs.append(
            {
                name: _recall(kind, standing, found, score)
                for name, score in ranker.scores(standing.sources[kind], found).items()
            }
        )
    # A cut-off that could train no blend cannot judge one.
    methods = [name for name in cut_offs[0] if all(name in one for one in cut_offs)]
    cut_offs = [{name: one[name] for name in methods} for one in cut_offs]
    judged = judge_recalls(cut_offs, seed=settings.seed)
    each = [judge_recalls([one], seed=settings.seed) for one in cut_offs]
    singles = [name for name in methods if name != BLEND]
    serving = max(singles, key=lambda name: judged["figures"][name].value)
    if BLEND in methods and judged["gains"][BLEND][serving].is_above_zero:
        serving = BLEND
    return {
        "serving": serving,
        "baselines": list(KINDS[kind].baselines),
        **_plain(judged, serving),
        "cut_offs": [
            {"as_of_date": _date(one.day)} | _plain(figures, serving)
            for one, figures in zip(standings, each, strict=False)
        ],
        "candidate_share": float(
            np.isin(
                standings[0].truth[kind],
                standings[0].candidates[kind].keys(_product_count(standings[0])),
            ).mean()
        )
        if len(standings[0].truth[kind])
        else None,
    }


def _chosen(
    kind: str, latest: Standing, judged: Mapping[str, Any], settings: RecommendationSettings
) -> Ranker:
    """Train the method that serves on the latest cut-off, whose outcome is complete today."""
    trained = _trained(kind, latest, settings)
    method = judged["serving"]
    return Ranker(method, trained.parameters, trained.blend if method == BLEND else None)


def _trained(kind: str, standing: Standing, settings: RecommendationSettings) -> Ranker:
    """Choose the parameter of each view and fit the blend, on one cut-off."""
    found, source = standing.candidates[kind], standing.sources[kind]
    parameters = {
        name: max(
            variants, key=lambda value: _mean(_recall(kind, standing, found, variants[value]))
        )
        for name, variants in source.singles(found).items()
    }
    outcome = np.isin(found.keys(_product_count(standing)), standing.truth[kind])
    blend = None
    if settings.least_finds <= outcome.sum() < len(outcome):
        try:
            blend = AveragedPair.fit(
                found.scaled(), outcome.astype(np.int64), found.names, settings.pair, settings.seed
            )
        except CustomersAlike:
            blend = None  # no fact tells candidates apart; the views still stand
    return Ranker(BLEND, parameters, blend)


def _recall(kind: str, standing: Standing, found: Candidates, score: np.ndarray) -> np.ndarray:
    listed = best(found.customer, found.product, score)
    count = _product_count(standing)
    return recall_of(
        found.keys(count)[listed],
        standing.truth[kind],
        product_count=count,
        customer_count=len(standing.is_judged),
        is_judged=standing.is_judged,
    )


def _product_count(standing: Standing) -> int:
    return len(standing.sources["repeat"].repeat_share)


def _mean(recall: np.ndarray) -> float:
    known = recall[~np.isnan(recall)]
    return float(known.mean()) if len(known) else 0.0


def _plain(judged: Mapping[str, Any], serving: str) -> dict[str, Any]:
    def plain(figures: Mapping[str, Figure]) -> dict[str, list[float]]:
        return {name: [one.value, one.low, one.high] for name, one in figures.items()}

    return {"recall": plain(judged["figures"]), "gain_over": plain(judged["gains"][serving])}


def _date(day: int) -> dt.date:
    return EPOCH + dt.timedelta(int(day))
