"""Campaign response: how likely a customer redeems a coupon of the next campaign it is sent.

Here belong the split of campaigns by time, fitting, calibration and the judgement beside the
baselines. Which rows and facts are read is said in `ml.campaign_rows`.

Two models are fitted. One knows the campaign: how long it is and how much of the customer's
spending its coupons cover. The other does not, since nobody has planned the next campaign yet; it
is the one that scores every customer. Both are judged on campaigns that began after all those that
taught them had ended.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from ml.averaged_pair import AveragedPair, PairSettings
from ml.calibration import Line, calibrated, calibration_line, rarest
from ml.campaign_rows import (
    CAMPAIGN_FACTS,
    CUSTOMER_FACTS,
    known_sends,
    outcome_of,
    refuse_repeats,
    refuse_rows,
    send_matrix,
)
from ml.champion import Contest
from ml.feature_matrix import feature_matrix
from ml.feature_policy import (
    FeaturePolicy,
    needed_policies,
    policies_as_parts,
    policies_from_parts,
)
from ml.judgement import CutOff, calibration_table, judge_cut_offs, lift_table, logistic_rival
from ml.model_runs import as_figures
from ml.trained_on import digest_of

FEATURES = (*CUSTOMER_FACTS, *CAMPAIGN_FACTS)
UNPLANNED = "unplanned_campaign"
KINDS = {"model": FEATURES, UNPLANNED: CUSTOMER_FACTS}
BASELINES = {
    "past_share_only": ("campaign_response_share_365d",),
    "rfm_logistic": ("recency_days", "order_count_365d", "spend_amount_365d"),
}


@dataclass(frozen=True)
class ResponseSettings:
    """What may be tuned; recorded as the parameters of the run."""

    seed: int = 20170101
    # Campaigns are few: leaves of 100 rows, as for churn, would hardly split them, and trees of
    # many leaves would learn single campaigns by heart.
    pair: PairSettings = field(
        default_factory=lambda: PairSettings(
            inverse_penalty=0.03, boosting_leaf_rows=30, boosting_leaves=4
        )
    )
    holdout_share: float = 0.25
    calibration_folds: int = 3
    least_customers: int = 50
    least_outcomes: int = 10
    customers_at_once: int = 100_000


@dataclass(frozen=True)
class ResponseModel:
    """Both kinds of a model: a pair of learners and a calibration line each.

    `policies` are those it was trained under: an empty value must mean to it what it meant then.
    `twin` is the same method, trained by the day of the holdout and judged there. `trained_on` is
    the digest (`ml.trained_on`) of all customers that either has learned from.
    """

    policies: Mapping[str, FeaturePolicy]
    pairs: dict[str, AveragedPair]
    lines: dict[str, Line]
    trained_until: str
    trained_on: np.ndarray
    twin: ResponseModel | None = None

    @classmethod
    def fit(
        cls,
        rows: pl.DataFrame,
        matrix: np.ndarray,
        policies: Mapping[str, FeaturePolicy],
        settings: ResponseSettings,
    ) -> ResponseModel:
        """Fit both kinds to campaigns that are over; `matrix` is `send_matrix` of `rows`."""
        return cls(
            policies=needed_policies(policies, CUSTOMER_FACTS),
            pairs={kind: _fit(kind, matrix, outcome_of(rows), settings) for kind in KINDS},
            lines={kind: _line(kind, rows, matrix, settings) for kind in KINDS},
            trained_until=str(rows["ended_date"].max()),
            trained_on=digest_of(rows["customer_id"].unique().to_list()),
        )

    def score(self, kind: str, matrix: np.ndarray) -> np.ndarray:
        """Return the probability of every row, of which this kind reads the first columns."""
        return calibrated(_odds(self.pairs[kind], kind, matrix), self.lines[kind])

    def score_customers(self, snapshot: pl.DataFrame) -> np.ndarray:
        """Return the probability of every customer for a campaign that nobody has planned yet."""
        return self.score(UNPLANNED, feature_matrix(snapshot, CUSTOMER_FACTS, self.policies))

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {
            "policies": policies_as_parts(self.policies),
            "pairs": {kind: pair.as_parts() for kind, pair in self.pairs.items()},
            "lines": {kind: list(line) for kind, line in self.lines.items()},
            "trained_until": self.trained_until,
            "trained_on": self.trained_on,
            "twin": self.twin.as_parts() if self.twin else None,
        }

    @classmethod
    def from_parts(cls, features: Sequence[str], parts: dict[str, Any]) -> ResponseModel:
        """Rebuild the model from what `ml.artifacts.load` returns."""
        return cls(
            policies=policies_from_parts(parts["policies"]),
            pairs={kind: AveragedPair.from_parts(one) for kind, one in parts["pairs"].items()},
            lines={kind: tuple(line) for kind, line in parts["lines"].items()},
            trained_until=parts["trained_until"],
            trained_on=parts["trained_on"],
            twin=cls.from_parts(features, parts["twin"]) if parts["twin"] else None,
        )


@dataclass(frozen=True)
class CampaignResponse:
    """The model to publish, what it scores on `as_of_date`, and how its method was judged.

    `contest` has the campaigns judged, for a champion to be compared on by what is published.
    """

    as_of_date: dt.date
    snapshot: pl.DataFrame
    model: ResponseModel
    contest: Contest
    settings: ResponseSettings
    parameters: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def features(self) -> tuple[str, ...]:
        """What the models read, in its order."""
        return FEATURES

    def lists(self, model: ResponseModel | None = None) -> Iterator[pl.DataFrame]:
        """Yield customer_id and response_score of all customers, some at a time.

        Another `model` may be one of an earlier day: it scores today's customers.
        """
        yield from scores(model or self.model, self.snapshot, self.settings)

    def summary(self) -> str:
        """Say in one line how well responses are foreseen, beside the baselines."""
        return "Campaign response: " + ", ".join(
            f"{name} ROC-AUC {figures['roc_auc'][0]:.3f}, PR-AUC {figures['pr_auc'][0]:.3f}"
            for name, figures in self.metrics["intervals"].items()
        )


def scores(
    model: ResponseModel, snapshot: pl.DataFrame, settings: ResponseSettings | None = None
) -> Iterator[pl.DataFrame]:
    """Yield customer_id and response_score of all customers of a snapshot, some at a time."""
    for part in snapshot.iter_slices((settings or ResponseSettings()).customers_at_once):
        score = pl.Series(model.score_customers(part)).round(6)
        yield part.select("customer_id", response_score=score)


def train_campaign_response(
    responses: pl.DataFrame,
    features: pl.DataFrame,
    *,
    policies: Mapping[str, FeaturePolicy],
    settings: ResponseSettings | None = None,
    cut_off: dt.date | None = None,
) -> CampaignResponse:
    """Judge the method on the latest campaigns and fit it on all that are over.

    `responses` is `marts.mart_campaign_responses`; `features` has customer_id, as_of_date and
    `CUSTOMER_FACTS`. Campaigns from `cut_off` on are judged by those that had ended before it.

    Raises:
        NotEnoughHistory, OneClassLabel: there is too little to learn from or to judge by.
        BadFeature, RepeatedCustomer: the input is not what it should be.

    """
    settings = settings or ResponseSettings()
    least = settings.least_customers, settings.least_outcomes
    refuse_repeats(responses, features)
    known = known_sends(responses, features)
    refuse_rows(known, "the campaigns that are over", *least)
    if cut_off is None:
        cut_off = _cut_off(known, settings)
    past = known.filter(pl.col("ended_date") < cut_off)
    later = known.filter(pl.col("started_date") >= cut_off)
    refuse_rows(past, f"the campaigns that had ended before {cut_off}", *least)
    refuse_rows(later, f"the campaigns from {cut_off} on", *least)
    train, holdout = send_matrix(past, policies), send_matrix(later, policies)
    tried = ResponseModel.fit(past, train, policies, settings)
    said = {kind: tried.score(kind, holdout) for kind in KINDS}
    for name in BASELINES:
        places = [FEATURES.index(column) for column in BASELINES[name]]
        said[name] = logistic_rival(train[:, places], outcome_of(past), holdout[:, places])
    outcome = outcome_of(later)
    (judged,), _ = judge_cut_offs([CutOff(later["customer_id"], outcome, said)], seed=settings.seed)
    today = features["as_of_date"].max()
    published = ResponseModel.fit(known, send_matrix(known, policies), policies, settings)
    return CampaignResponse(
        as_of_date=today,
        snapshot=features.filter(pl.col("as_of_date") == today).sort("customer_id"),
        model=replace(published, twin=tried),
        contest=Contest(
            cut_off,
            later["customer_id"],
            outcome,
            lambda model: model.score(UNPLANNED, send_matrix(later, model.policies)),
            settings.seed,
        ),
        settings=settings,
        parameters=as_figures(asdict(settings)),
        metrics=as_figures(
            {
                "holdout_date": cut_off,
                "base_rate": outcome.mean(),
                "row_counts": {"training": past.height, "holdout": later.height},
                "customer_count": later["customer_id"].n_unique(),
                **judged.with_intervals(),
                # Of the model that is published.
                "lift": lift_table(outcome, said[UNPLANNED]).to_dicts(),
                "calibration": calibration_table(outcome, said[UNPLANNED]).to_dicts(),
            }
        ),
    )


def _cut_off(known: pl.DataFrame, settings: ResponseSettings) -> dt.date:
    """Return the latest start from which on enough is known to judge by."""
    days = known["started_date"].unique().sort(descending=True)
    for day in days:
        later = known.filter(pl.col("started_date") >= day)
        if (
            later.height >= settings.holdout_share * known.height
            and rarest(outcome_of(later)) >= settings.least_outcomes
        ):
            return day
    return days[-1]


def _fit(
    kind: str, matrix: np.ndarray, outcome: np.ndarray, settings: ResponseSettings
) -> AveragedPair:
    names = KINDS[kind]
    return AveragedPair.fit(matrix[:, : len(names)], outcome, names, settings.pair, settings.seed)


def _odds(pair: AveragedPair, kind: str, matrix: np.ndarray) -> np.ndarray:
    names = KINDS[kind]
    return pair.log_odds(matrix[:, : len(names)], names)


def _line(kind: str, rows: pl.DataFrame, matrix: np.ndarray, settings: ResponseSettings) -> Line:
    """Return slope and intercept by what pairs say that never saw the customer.

    Not by an earlier model: campaigns are few, and one that half of them taught says little.
    """
    outcome = outcome_of(rows)
    customer = rows["customer_id"].rank("dense").to_numpy()
    fold = np.random.default_rng(settings.seed).integers(
        settings.calibration_folds, size=int(customer.max()) + 1
    )[customer]
    odds = np.full(len(outcome), np.nan)
    for number in range(settings.calibration_folds):
        out = fold == number
        if out.any() and rarest(outcome[~out]):
            pair = _fit(kind, matrix[~out], outcome[~out], settings)
            odds[out] = _odds(pair, kind, matrix[out])
    known = ~np.isnan(odds)
    return calibration_line(odds[known], outcome[known])
