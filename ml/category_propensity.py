"""Category propensity: how likely a customer buys from each department in the next 28 days.

Here belong the grid of customers and departments, the split by time, fitting, calibration and the
judgement beside the baselines. What was bought from a department before and after a snapshot comes
from `marts.mart_department_windows`, how often the customer comes at all from
`marts.mart_customer_features`.

The mart has a row only where something was bought; the grid fills in the rest, which is most of it.
A snapshot teaches a model only if its 28 days had ended by the day that the model stands at.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ml.averaged_pair import AveragedPair, PairSettings
from ml.calibration import UNCHANGED, Line, calibrated, calibration_line
from ml.champion import Contest
from ml.errors import BadFeature, NotEnoughHistory, OneClassLabel, RepeatedCustomer
from ml.judgement import CutOff, calibration_table, judge_cut_offs, lift_table, logistic_rival
from ml.model_runs import as_figures
from ml.trained_on import digest_of

HORIZON = dt.timedelta(28)
NEVER_DAYS = 365  # stands for "not within the 90 days that the mart looks back"
CUSTOMER_FACTS = ("recency_days", "tenure_days", "order_count_28d", "order_count_90d")
WINDOW_FACTS = ("purchase_day_count_90d", "spend_amount_90d", "spend_share_90d")
FEATURES = (
    *WINDOW_FACTS,
    "department_recency_days",
    "department_share_of_days",
    "department_rate",
    *CUSTOMER_FACTS,
)
BASELINES: dict[str, tuple[str, ...]] = {
    "recency_only": ("department_recency_days",),
    "rfm_logistic": ("department_recency_days", "purchase_day_count_90d", "spend_amount_90d"),
}


@dataclass(frozen=True)
class CategorySettings:
    """What may be tuned; recorded as the parameters of the run."""

    seed: int = 20170101
    cut_offs: int = 2
    pair: PairSettings = field(default_factory=PairSettings)
    least_customers: int = 50
    most_rows: int = 200_000
    customers_at_once: int = 20_000


@dataclass(frozen=True)
class CategoryModel:
    """A pair of learners and a calibration line, for any department.

    `twin` is the same method, trained by the day of the holdout and judged there. `trained_on` is
    the digest (`ml.trained_on`) of all customers that either has learned from.
    """

    pair: AveragedPair
    line: Line
    trained_until: str
    trained_on: np.ndarray
    twin: CategoryModel | None = None

    def score(self, grid: pl.DataFrame) -> np.ndarray:
        """Return the probability of a purchase for every row of a grid."""
        return calibrated(self.pair.log_odds(_matrix(grid), FEATURES), self.line)

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {
            "pair": self.pair.as_parts(),
            "line": list(self.line),
            "trained_until": self.trained_until,
            "trained_on": self.trained_on,
            "twin": self.twin.as_parts() if self.twin else None,
        }

    @classmethod
    def from_parts(cls, features: Sequence[str], parts: dict[str, Any]) -> CategoryModel:
        """Rebuild the model from what `ml.artifacts.load` returns."""
        slope, intercept = parts["line"]
        return cls(
            pair=AveragedPair.from_parts(parts["pair"]),
            line=(slope, intercept),
            trained_until=parts["trained_until"],
            trained_on=parts["trained_on"],
            twin=cls.from_parts(features, parts["twin"]) if parts["twin"] else None,
        )


@dataclass(frozen=True)
class CategoryPropensity:
    """The model to publish, what it scores on `as_of_date`, and how its method was judged.

    `contest` is the snapshot judged last, for a champion to be compared on.
    """

    as_of_date: dt.date
    windows: pl.DataFrame
    snapshot: pl.DataFrame
    departments: tuple[str, ...]
    model: CategoryModel
    contest: Contest
    settings: CategorySettings
    parameters: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def features(self) -> tuple[str, ...]:
        """What it reads, in its order."""
        return FEATURES

    def lists(self, model: CategoryModel | None = None) -> Iterator[pl.DataFrame]:
        """Yield customer_id, department and purchase_score of all customers, some at a time.

        Another `model` may be one of an earlier day: it scores today's customers and departments.
        """
        model, rates = model or self.model, _rates(self.windows, self.snapshot)
        for part in self.snapshot.iter_slices(self.settings.customers_at_once):
            grid = _grid(self.windows, part, self.departments, rates)
            score = pl.Series(model.score(grid)).round(6)
            yield grid.select("customer_id", "department", purchase_score=score)

    def summary(self) -> str:
        """Say in one line how well departments are foreseen, beside the baselines."""
        return "Category propensity: " + ", ".join(
            f"{name} ROC-AUC {figures['roc_auc'][0]:.3f}, PR-AUC {figures['pr_auc'][0]:.3f}"
            for name, figures in self.metrics["intervals"].items()
        )


def train_category_propensity(
    windows: pl.DataFrame, features: pl.DataFrame, *, settings: CategorySettings | None = None
) -> CategoryPropensity:
    """Judge the method at the latest cut-offs and fit it on all finished snapshots.

    `windows` is `marts.mart_department_windows`; `features` has customer_id, as_of_date and
    `CUSTOMER_FACTS` of the same snapshots.

    Raises:
        NotEnoughHistory, OneClassLabel: there is too little to learn from or to judge by.
        BadFeature, RepeatedCustomer: the input is not what it should be.

    """
    settings = settings or CategorySettings()
    _refuse(windows, features, settings)
    features = features.select("customer_id", "as_of_date", *CUSTOMER_FACTS)
    features = features.sort("as_of_date", "customer_id")
    today = features["as_of_date"].max()
    days = sorted(windows.drop_nulls("is_bought")["as_of_date"].unique(), reverse=True)
    departments = _departments(windows.filter(pl.col("as_of_date").is_in(days)), settings)
    grids = {
        day: _labelled_grid(windows, features, day, departments, settings, len(days))
        for day in days
    }
    cut_offs = _chain(days)
    if len(cut_offs) < 2:
        raise NotEnoughHistory(
            f"not enough history: {len(days)} finished snapshot(s), but none whose 28 days end "
            "before another; at least two are needed, to train and to judge"
        )
    # A cut-off can be judged when a snapshot had ended before it, calibrated when two had.
    tried = [_tried(day, grids, settings) for day in cut_offs[: settings.cut_offs + 1]]
    tried = [one for one in tried if one is not None]
    lines = [_line(tried[number + 1 :]) for number in range(settings.cut_offs)]
    judged = [
        CutOff(
            one.grid["customer_id"],
            one.outcome,
            {"model": calibrated(one.odds, line), **one.baselines},
        )
        for one, line in zip(tried, lines, strict=False)
    ]
    each, mean = judge_cut_offs(judged, seed=settings.seed)
    latest = judged[0].outcome, judged[0].scores["model"]
    training = pl.concat(grids.values())
    newest = features.filter(pl.col("as_of_date") == today)
    return CategoryPropensity(
        as_of_date=today,
        windows=windows.filter(pl.col("as_of_date") == today),
        snapshot=newest,
        departments=departments,
        model=CategoryModel(
            pair=_fit(training, settings),
            line=_line(tried),
            trained_until=str(days[0] + HORIZON),
            trained_on=digest_of(training["customer_id"].unique().to_list()),
            twin=tried[0].model(lines[0]),
        ),
        contest=Contest(
            tried[0].day,
            tried[0].grid["customer_id"],
            tried[0].outcome,
            lambda model: model.score(tried[0].grid),
            settings.seed,
        ),
        settings=settings,
        parameters=as_figures(asdict(settings) | {"departments": departments}),
        metrics=as_figures(
            {
                "holdout_dates": [one.day for one in tried[: settings.cut_offs]],
                "base_rate": judged[0].outcome.mean(),
                "customer_count": judged[0].customers.n_unique(),
                **mean.with_intervals(),
                "cut_offs": [
                    {"as_of_date": one.day} | figures.with_intervals()
                    for one, figures in zip(tried, each, strict=False)
                ],
                "lift": lift_table(*latest).to_dicts(),
                "calibration": calibration_table(*latest).to_dicts(),
            }
        ),
    )


@dataclass(frozen=True)
class _Tried:
    day: dt.date
    train: pl.DataFrame
    pair: AveragedPair
    grid: pl.DataFrame
    outcome: np.ndarray
    odds: np.ndarray
    baselines: dict[str, np.ndarray]

    def model(self, line: Line) -> CategoryModel:
        """Return what stood on the day: its snapshots had all ended by then."""
        customers = self.train["customer_id"].unique().to_list()
        return CategoryModel(self.pair, line, str(self.day), digest_of(customers))


def _tried(
    day: dt.date, grids: dict[dt.date, pl.DataFrame], settings: CategorySettings
) -> _Tried | None:
    """Fit on what had ended by `day` and say what that makes of it; None if nothing had."""
    past = [grid for other, grid in grids.items() if other + HORIZON <= day]
    if not past:
        return None
    train, grid = pl.concat(past), grids[day]
    outcome = _outcome(grid, f"the snapshot of {day}")
    baselines = {}
    for name, columns in BASELINES.items():
        places = [FEATURES.index(column) for column in columns]
        baselines[name] = logistic_rival(
            _matrix(train)[:, places],
            _outcome(train, "the training snapshots"),
            _matrix(grid)[:, places],
        )
    pair = _fit(train, settings)
    odds = pair.log_odds(_matrix(grid), FEATURES)
    return _Tried(day, train, pair, grid, outcome, odds, baselines)


def _fit(train: pl.DataFrame, settings: CategorySettings) -> AveragedPair:
    outcome = _outcome(train, "the training snapshots")
    return AveragedPair.fit(_matrix(train), outcome, FEATURES, settings.pair, settings.seed)


def _line(before: Sequence[_Tried]) -> Line:
    """Return the line by what the model before said of a later snapshot."""
    return calibration_line(before[0].odds, before[0].outcome) if before else UNCHANGED


def _chain(days: Sequence[dt.date]) -> list[dt.date]:
    chain: list[dt.date] = []
    for day in days:
        if not chain or day + HORIZON <= chain[-1]:
            chain.append(day)
    return chain


def _departments(windows: pl.DataFrame, settings: CategorySettings) -> tuple[str, ...]:
    """Choose those that enough customers bought from to be learned at all."""
    buyers = windows.group_by("department").agg(pl.col("customer_id").n_unique())
    known = buyers.filter(pl.col("customer_id") >= settings.least_customers)["department"]
    if not len(known):
        raise NotEnoughHistory(
            f"not enough history: no department has {settings.least_customers} customers"
        )
    return tuple(known.sort())


def _labelled_grid(
    windows: pl.DataFrame,
    features: pl.DataFrame,
    day: dt.date,
    departments: Sequence[str],
    settings: CategorySettings,
    days: int,
) -> pl.DataFrame:
    """Return the grid of one finished snapshot, of a sample of its customers if they are many."""
    there = features.filter(pl.col("as_of_date") == day)
    then = windows.filter(pl.col("as_of_date") == day)
    rates = _rates(then, there)
    most = max(settings.most_rows // (len(departments) * days), settings.least_customers)
    if there.height > most:
        chosen = np.random.default_rng(settings.seed).permutation(there.height)[:most]
        there = there[np.sort(chosen).tolist()]
    return _grid(then, there, departments, rates)


def _rates(windows: pl.DataFrame, snapshot: pl.DataFrame) -> pl.DataFrame:
    """Return each department's share of customers who bought from it in the last 28 days."""
    return windows.group_by("department").agg(
        department_rate=(pl.col("recency_days") < HORIZON.days).sum() / max(snapshot.height, 1)
    )


def _grid(
    windows: pl.DataFrame, snapshot: pl.DataFrame, departments: Sequence[str], rates: pl.DataFrame
) -> pl.DataFrame:
    """Return one row per customer of the snapshot and department, with `FEATURES` and the label."""
    every_day = pl.col("order_count_90d").clip(lower_bound=1)
    facts = windows.select(
        "customer_id",
        "department",
        *WINDOW_FACTS,
        "is_bought",
        department_recency_days="recency_days",
    )
    return (
        snapshot.join(pl.DataFrame({"department": list(departments)}), how="cross")
        .join(facts, on=["customer_id", "department"], how="left", maintain_order="left")
        .join(rates, on="department", how="left", maintain_order="left")
        .with_columns(
            *(pl.col(name).fill_null(0).cast(pl.Float64) for name in WINDOW_FACTS),
            pl.col("department_recency_days").fill_null(NEVER_DAYS),
            pl.col("department_rate").fill_null(0),
            pl.col("is_bought").fill_null(False),
        )
        .with_columns(department_share_of_days=pl.col("purchase_day_count_90d") / every_day)
    )


def _matrix(grid: pl.DataFrame) -> np.ndarray:
    """Return the facts as a learner reads them; spending may be negative by returns."""
    values = grid.select(pl.col(name).cast(pl.Float64) for name in FEATURES).to_numpy()
    return np.log1p(np.maximum(values, 0))


def _outcome(grid: pl.DataFrame, where: str) -> np.ndarray:
    outcome = grid["is_bought"].cast(pl.Int8).to_numpy().astype(np.int64)
    if outcome.min() == outcome.max():
        raise OneClassLabel(f"every department of {where} had the same outcome")
    return outcome


def _refuse(windows: pl.DataFrame, features: pl.DataFrame, settings: CategorySettings) -> None:
    customers = windows["customer_id"].n_unique()
    if customers < settings.least_customers:
        raise NotEnoughHistory(
            f"not enough history: {customers} customers, {settings.least_customers} needed to "
            "learn what departments they buy from"
        )
    for frame, key in (
        (windows, ["customer_id", "as_of_date", "department"]),
        (features, ["customer_id", "as_of_date"]),
    ):
        if frame.select(key).is_duplicated().any():
            raise RepeatedCustomer(f"rows repeat {', '.join(key)}")
    for frame, names in ((windows, WINDOW_FACTS), (features, CUSTOMER_FACTS)):
        values = frame.select(pl.col(name).cast(pl.Float64) for name in names)
        bad = [n for n in names if values[n].null_count() or not values[n].is_finite().all()]
        if bad:
            raise BadFeature(f"empty or no finite number somewhere: {', '.join(bad)}")
