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
from typing import Any

import numpy as np
import polars as pl

from ml.averaged_pair import AveragedPair, PairSettings
from ml.candidates import Candidates
from ml.champion import Contest
from ml.errors import BadFeature, CustomersAlike, NotEnoughHistory
from ml.judgement import Figure
from ml.model_runs import as_figures
from ml.purchases import EPOCH, Pairs, ProductTree, Purchases, day_number
from ml.ranking import LENGTH, best, judge_recalls, rank_in_runs, recall_of
from ml.recommendation_model import (
    BLEND,
    KINDS,
    Ranker,
    RecallOfKinds,
    RecommendationModel,
)
from ml.trained_on import digest_of

FEATURES = tuple(f"{kind}.{name}" for kind, one in KINDS.items() for name in one.names)


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
class Recommender:
    """The model to publish, what is known of products on `as_of_date`, and how it was judged.

    `contest` is the cut-off judged last, for a champion to be compared on.
    """

    as_of_date: dt.date
    bought: Purchases
    customers: pl.Series
    products: pl.DataFrame
    sources: Mapping[str, Any]
    model: RecommendationModel
    contest: Contest
    settings: RecommendationSettings
    parameters: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def features(self) -> tuple[str, ...]:
        """What it reads, in its order."""
        return FEATURES

    def lists(self, model: RecommendationModel | None = None) -> Iterator[pl.DataFrame]:
        """Yield the lists of all customers, some at a time: never all in memory.

        Columns: customer_id, kind, rank, product_id, score, reason. Another `model` may be one of
        an earlier day: it ranks by what is known of products today.
        """
        model = model or self.model
        for begin in range(0, len(self.customers), self.settings.customers_at_once):
            end = min(begin + self.settings.customers_at_once, len(self.customers))
            bought = self.bought.of_range(begin, end)
            for kind in KINDS:
                yield self._lists(kind, model.rankers[kind], bought, np.arange(begin, end))

    def _lists(
        self, kind: str, ranker: Ranker, bought: Purchases, customers: np.ndarray
    ) -> pl.DataFrame:
        source = self.sources[kind]
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
            f"{kind} by {judged['serving']}: recall@{LENGTH} "
            + ", ".join(f"{name} {figure[0]:.3f}" for name, figure in judged["recall"].items())
            for kind, judged in self.metrics["kinds"].items()
        )


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
    trained = {kind: [_trained(kind, one, settings) for one in standings] for kind in KINDS}
    recalls = {kind: _recalls(kind, standings, trained[kind]) for kind in KINDS}
    kinds = {kind: _judged(kind, standings, recalls[kind], settings) for kind in KINDS}
    latest, now = standings[0], Pairs(bought, today)
    learned_from = digest_of(customers["customer_id"].filter(pl.Series(bought.buyers())))
    return Recommender(
        as_of_date=as_of_date,
        bought=bought,
        customers=customers["customer_id"],
        products=products,
        sources={kind: one.fit(now, tree, seed=settings.seed) for kind, one in KINDS.items()},
        model=RecommendationModel(
            # Trained on the latest cut-off, whose outcome is complete today.
            {kind: trained[kind][0].by(kinds[kind]["serving"]) for kind in KINDS},
            trained_until=str(as_of_date),
            trained_on=learned_from,
            twin=_twin(latest.day, trained, recalls, learned_from, settings),
        ),
        contest=_contest(latest, customers["customer_id"], settings.seed),
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


def _twin(
    day: int,
    trained: Mapping[str, Sequence[Ranker]],
    recalls: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
    learned_from: np.ndarray,
    settings: RecommendationSettings,
) -> RecommendationModel | None:
    """Return what would have served on the latest cut-off, or None if nothing was judged by then.

    The choice of its methods, too, must not have seen what came after that day.
    """
    rankers = {}
    for kind in KINDS:
        before = _comparable(recalls[kind][1:])
        if not before:
            return None
        serving = _serving(judge_recalls(before, seed=settings.seed))
        rankers[kind] = trained[kind][1].by(serving)
    return RecommendationModel(rankers, str(_date(day)), learned_from)


def _contest(latest: Standing, customers: pl.Series, seed: int) -> Contest:
    judged = np.flatnonzero(latest.is_judged)

    def says(model: RecommendationModel) -> np.ndarray:
        recalls = []
        for kind, ranker in model.rankers.items():
            found = latest.candidates[kind]
            score = ranker.score(latest.sources[kind], found)
            recalls.append(_recall(kind, latest, found, score)[judged])
        return np.concatenate(recalls)

    ids = customers[judged.tolist()]
    return Contest(
        _date(latest.day),
        pl.concat([ids] * len(KINDS)),
        np.repeat(np.arange(len(KINDS)), len(judged)),
        says,
        seed,
        RecallOfKinds,
    )


def _recalls(
    kind: str, standings: Sequence[Standing], trained: Sequence[Ranker]
) -> list[dict[str, np.ndarray]]:
    """Return each customer's recall by every method, at each cut-off that has one before it."""
    cut_offs = []
    for standing, ranker in zip(standings[:-1], trained[1:], strict=True):
        found = standing.candidates[kind]
        scores = ranker.scores(standing.sources[kind], found)
        cut_offs.append(
            {name: _recall(kind, standing, found, score) for name, score in scores.items()}
        )
    return cut_offs


def _comparable(cut_offs: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Leave out the methods that some cut-off could not train, and so cannot judge."""
    return [
        {name: recall for name, recall in one.items() if all(name in other for other in cut_offs)}
        for one in cut_offs
    ]


def _serving(judged: Mapping[str, Any]) -> str:
    """Name the blend where it is better than the best single view beyond noise, else that view."""
    figures, gains = judged["figures"], judged["gains"]
    best_view = max((name for name in figures if name != BLEND), key=lambda n: figures[n].value)
    if BLEND in figures and gains[BLEND][best_view].is_above_zero:
        return BLEND
    return best_view


def _judged(
    kind: str,
    standings: Sequence[Standing],
    recalls: Sequence[Mapping[str, np.ndarray]],
    settings: RecommendationSettings,
) -> dict[str, Any]:
    """Judge every method at each cut-off and on average, and name the one that serves."""
    cut_offs = _comparable(recalls)
    judged = judge_recalls(cut_offs, seed=settings.seed)
    each = [judge_recalls([one], seed=settings.seed) for one in cut_offs]
    serving = _serving(judged)
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
