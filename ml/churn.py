"""Churn: the probability that a customer buys nothing in the period that the labels look ahead.

Here belong the split by time, fitting, calibration and the judgement beside the baselines; the
chance of a repurchase is one minus the score. Features and labels are made in dbt
(`marts.mart_customer_features`, `marts.mart_churn_labels`); what an empty value means is written in
`features.yml` (`ml.feature_policy`).

A snapshot may train a model judged at a cut-off only if its label window has ended by that day:
otherwise the label already tells part of what is to be predicted. So cut-offs form a chain: the one
before a cut-off is the latest snapshot whose labels were complete on its day. On those the model is
calibrated, by what models that stood there said: as far from their training as the scores to be
published are from theirs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from ml.calibration import Line, calibrated, rarest
from ml.champion import Contest
from ml.churn_model import CHUNK_ROWS, ChurnModel
from ml.churn_segments import CUT_OFFS, Segmentation, Trial, proven
from ml.churn_training import (
    KEY,
    ChurnSettings,
    Method,
    Said,
    Standing,
    chain_before,
    one_class_message,
    outcome_of,
    refuse_leaks,
    split_by_time,
)
from ml.errors import BadFeature, LeakedLabel, NotEnoughHistory, OneClassLabel, RepeatedCustomer
from ml.explanation import explain
from ml.feature_matrix import feature_matrix
from ml.feature_policy import FeaturePolicy, filled
from ml.judgement import (
    CutOff,
    calibration_table,
    judge_cut_offs,
    lift_table,
    logistic_rival,
)
from ml.model_runs import as_figures
from ml.trained_on import digest_of

# What is always judged beside the model, each by a logistic of its own.
BASELINES: dict[str, tuple[str, ...]] = {
    "recency_only": ("recency_days",),
    "rfm_logistic": ("recency_days", "order_count_365d", "spend_amount_365d"),
}

# What a row and its event are called in the metrics of a run.
WORDS = {
    "row_count": "customer_count",
    "event_count": "churned_count",
    "event_share": "churned_share",
    "mean_score": "mean_churn_score",
}

# A window of 28 days, not of 30 as well: it spans whole weeks. What a company does not measure
# never varies, and is left out by itself.
FEATURES: tuple[str, ...] = (
    "recency_days",
    "tenure_days",
    "order_count_7d",
    "order_count_28d",
    "order_count_90d",
    "order_count_365d",
    "order_count_prior_28d",
    "order_count_prior_90d",
    "spend_amount_7d",
    "spend_amount_28d",
    "spend_amount_90d",
    "spend_amount_365d",
    "spend_amount_prior_28d",
    "spend_amount_prior_90d",
    "average_order_amount",
    "item_count_28d",
    "item_count_90d",
    "discount_share_90d",
    "return_count_365d",
    "active_week_count_90d",
    "active_week_count_365d",
    "distinct_product_count_90d",
    "distinct_department_count_90d",
    "mean_gap_days",
    "gap_deviation_days",
    "recency_over_mean_gap",
    "order_count_season_28d",
    "store_count_90d",
    "weekend_share_90d",
    "remote_share_365d",
    "coupon_redemption_count_90d",
    "campaign_contact_count_90d",
    "last_session_days",
    "session_count_7d",
    "session_count_30d",
    "session_count_prior_30d",
    "session_count_90d",
    "view_without_order_count_30d",
    "abandoned_cart_count_30d",
    "dwell_seconds_per_session_90d",
    "funnel_depth_30d",
    "app_session_share_365d",
    "message_count_90d",
    "open_share_90d",
    "click_share_90d",
    "last_open_days",
    "nps_score_365d",
)


@dataclass(frozen=True)
class ChurnResult:
    """Scores of the newest snapshot, the model behind them, and how its method was judged.

    `scores` has a row per customer: churn_score, repurchase_score and reason_1 to reason_3.
    `importance` has a row per feature. `holdout` is the snapshot that was judged, with its labels
    and the scores of the judged model, for fairness to be looked at; `contest` is the same one, for
    a champion to be compared on.
    """

    as_of_date: dt.date
    holdout_date: dt.date
    scores: pl.DataFrame
    model: ChurnModel
    lift: pl.DataFrame
    calibration: pl.DataFrame
    importance: pl.DataFrame
    holdout: pl.DataFrame
    contest: Contest
    features: tuple[str, ...]
    parameters: dict[str, Any]
    metrics: dict[str, Any]


def train_and_score(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    policies: Mapping[str, FeaturePolicy],
    feature_names: Sequence[str] = FEATURES,
    settings: ChurnSettings | None = None,
) -> ChurnResult:
    """Judge the method at the latest cut-offs, refit on all labels, score the newest snapshot.

    `features` holds all snapshots, `labels` those whose label window is complete. The published
    scores come from the refitted model; the metrics from those that never saw their cut-off.
    """
    method = Method(tuple(feature_names), policies, settings or ChurnSettings())
    settings = method.settings
    features, labelled, as_of_date = _checked(features, labels, method)
    trial = _try_out(labelled, method)
    _, judged_mean = judgement = judge_cut_offs(trial.cut_offs, seed=settings.seed)
    latest, holdout = judgement[0][0], trial.holdout
    score = trial.cut_offs[0].scores["model"]
    outcome = trial.cut_offs[0].outcome
    lift, calibration = lift_table(outcome, score), calibration_table(outcome, score)

    training = method.sampled(labelled)
    # No model has seen the snapshot that it speaks of, the judged one of the holdout included.
    line = method.line(training, trial.said)
    seen = (training, trial.train, *(one.customers.to_frame() for one in trial.cut_offs))
    published = replace(
        method.model(training, line, trial.judged.segmentation, trial.kept),
        trained_on=digest_of(
            pl.concat([frame["customer_id"] for frame in seen]).unique().to_list()
        ),
        twin=trial.judged,
    )
    newest = features.filter(pl.col("as_of_date") == as_of_date)
    scores, importance = score_customers(published, newest, settings.scoring_chunk_rows)
    return ChurnResult(
        as_of_date=as_of_date,
        holdout_date=trial.days[0],
        scores=scores,
        model=published,
        lift=lift,
        calibration=calibration,
        importance=importance,
        holdout=holdout.with_columns(churn_score=pl.Series(score)),
        contest=Contest(
            trial.days[0],
            holdout["customer_id"],
            outcome,
            lambda model: model.score(holdout),
            settings.seed,
        ),
        features=method.names,
        parameters=as_figures(
            asdict(settings)
            | {
                "missing": {
                    name: [policies[name].stand_in, policies[name].because]
                    for name in method.names
                    if policies[name].missing == "filled"
                },
                "training": "snapshots whose label window ends on or before the cut-off",
            }
        ),
        metrics=as_figures(
            {
                "holdout_date": trial.days[0],
                "horizon_days": (holdout["label_until_date"].max() - trial.days[0]).days,
                "customer_count": holdout.height,
                "base_rate": outcome.mean(),
                **latest.values(),
                **latest.with_intervals(),
                "cut_offs": [
                    {"as_of_date": day, "base_rate": one.outcome.mean()} | figures.with_intervals()
                    for day, one, figures in zip(
                        trial.days, trial.cut_offs, judgement[0], strict=True
                    )
                ],
                "mean_of_cut_offs": judged_mean.with_intervals(),
                "segment_models": trial.segment_evidence,
                "calibration_line": line,
                "lift": lift.rename(WORDS, strict=False).to_dicts(),
                "calibration": calibration.rename(WORDS, strict=False).to_dicts(),
                "importance": importance.to_dicts(),
                "training_row_count": trial.train.height,
                "training_snapshots": trial.train["as_of_date"].unique().sort().to_list(),
                "overlapping_row_count": trial.overlapping,
                "unused_features": trial.judged.unused_features,
                "published_training_row_count": training.height,
                "published_training_customer_count": training["customer_id"].n_unique(),
                "published_mean_score": scores["churn_score"].mean(),
            }
        ),
    )


def score_customers(
    model: ChurnModel, newest: pl.DataFrame, chunk_rows: int = CHUNK_ROWS
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the scores of `newest`, one snapshot, with reasons, and the importance of features.

    `model` may be one of an earlier day: a champion that stays scores today's customers.
    """
    score = pl.Series(model.score(newest, chunk_rows)).round(6)
    reasons, importance = explain(model, newest)
    scores = newest.select(
        "customer_id", churn_score=score, repurchase_score=(1 - score).round(6)
    ).hstack(reasons)
    return scores, importance


def fit(
    train: pl.DataFrame,
    *,
    known_until: dt.date,
    policies: Mapping[str, FeaturePolicy],
    feature_names: Sequence[str] = FEATURES,
    settings: ChurnSettings | None = None,
    line: Line | None = None,
) -> ChurnModel:
    """Fit the averaged, calibrated model on labelled snapshots known by `known_until`.

    `line` is a calibration (slope, intercept) already known; without one it is found on the latest
    snapshot of `train` with a model that stood there, or by folds of customers if none could.
    """
    method = Method(tuple(feature_names), policies, settings or ChurnSettings())
    refuse_leaks(train, known_until)
    pair = method.pair(method.sampled(train))
    if line is None:
        line = method.line(train, [before.said for before in chain_before(train, train, method)])
    return method.model(method.sampled(train), line, pair=pair)


@dataclass(frozen=True)
class _Trial:
    """The method at its cut-offs, the latest first, and what was decided before that one.

    `said` is what its models said of the latest snapshots, to calibrate the one to be published.
    """

    days: list[dt.date]
    cut_offs: list[CutOff]
    train: pl.DataFrame
    holdout: pl.DataFrame
    overlapping: int
    judged: ChurnModel
    said: list[Said]
    kept: list[int]
    segment_evidence: list[dict[str, Any]]


def _try_out(labelled: pl.DataFrame, method: Method) -> _Trial:
    settings = method.settings
    day, train, holdout, overlapping = split_by_time(labelled)
    train, holdout = method.sampled(train), method.sampled(holdout)
    pair = method.pair(train)
    outcome = outcome_of(holdout)
    if outcome.min() == outcome.max():
        raise OneClassLabel(one_class_message(outcome, f"the holdout of {day}"))
    chain = chain_before(labelled, train, method)
    segmentation, kept, odds, evidence = _proven_segments(chain, method)
    said = [standing.said for standing in chain]
    if kept:
        said[0] = (odds, chain[0].outcome)
    line = method.line(train, said)
    judged = method.model(train, line, segmentation, kept, pair)
    raw = judged.raw_log_odds(holdout)
    days = [day]
    cut_offs = [_cut_off(train, holdout, outcome, calibrated(raw, line), method)]
    for number, standing in enumerate(chain[: settings.cut_offs - 1]):
        if rarest(standing.outcome):
            own = method.line(standing.train, [before.said for before in chain[number + 1 :]])
            score = calibrated(standing.odds, own)
            days.append(standing.day)
            cut_offs.append(
                _cut_off(standing.train, standing.rows, standing.outcome, score, method)
            )
    said = [(raw, outcome), *said][: settings.cut_offs]
    return _Trial(days, cut_offs, train, holdout, overlapping, judged, said, kept, evidence)


def _cut_off(
    train: pl.DataFrame,
    rows: pl.DataFrame,
    outcome: np.ndarray,
    score: np.ndarray,
    method: Method,
) -> CutOff:
    scores = {"model": score}
    for name, columns in BASELINES.items():
        scores[name] = logistic_rival(
            feature_matrix(train, columns, method.policies),
            outcome_of(train),
            feature_matrix(rows, columns, method.policies),
        )
    return CutOff(rows["customer_id"], outcome, scores)


def _proven_segments(
    chain: Sequence[Standing], method: Method
) -> tuple[Segmentation | None, list[int], np.ndarray, list[dict[str, Any]]]:
    """Try a pair of its own for each segment at the cut-offs before the latest.

    Returns the segments, which of them are kept, the log odds with those at the first of these
    cut-offs, and the evidence.
    """
    settings, tried = method.settings, chain[:CUT_OFFS]
    if not tried or settings.segments < 2:
        return None, [], np.empty(0), []
    # Known at all of them.
    oldest = tried[-1].train
    segmentation = Segmentation.fit(
        method.matrix(oldest), method.names, settings.segments, settings.seed
    )
    if segmentation is None:
        return None, [], np.empty(0), []
    trials, odds = [], tried[0].odds.copy()
    own_odds: dict[int, np.ndarray] = {}
    for standing in tried:
        rows = method.matrix(standing.rows)
        segment = segmentation.of(rows, method.names)
        pairs = method.specialists(standing.train, segmentation, range(settings.segments))
        said = {
            number: pair.log_odds(rows[segment == number], method.names)
            for number, pair in pairs.items()
        }
        own_odds = own_odds or said
        trials.append(
            Trial(
                standing.rows["customer_id"],
                standing.outcome,
                segment,
                calibrated(standing.odds),
                {number: calibrated(one) for number, one in said.items()},
            )
        )
    kept, evidence = proven(trials, count=settings.segments, seed=settings.seed)
    for number in kept:
        odds[trials[0].segment == number] = own_odds[number]
    return segmentation, kept, odds, evidence


def _checked(
    features: pl.DataFrame, labels: pl.DataFrame, method: Method
) -> tuple[pl.DataFrame, pl.DataFrame, dt.date]:
    """Return features, labelled rows and the newest day, or refuse the input by name."""
    read = dict.fromkeys((*method.names, *(name for used in BASELINES.values() for name in used)))
    _require_columns(features, (*KEY, *read), "features")
    _require_columns(labels, (*KEY, "label_until_date", "is_churned"), "labels")
    features = _one_row_per_key(features, "features")
    labels = _one_row_per_key(labels, "labels")
    if features.is_empty():
        raise NotEnoughHistory(
            f"not enough history: 0 customers, {method.settings.least_customers} needed"
        )
    filled(features, list(read), method.policies)
    as_of_date = features["as_of_date"].max()
    labelled = features.join(
        labels.select(*KEY, "label_until_date", "is_churned"),
        on=list(KEY),
        how="inner",
        validate="1:1",
    ).sort(KEY)
    _refuse_unfinished_labels(labelled, as_of_date)
    return features, labelled, as_of_date


def _require_columns(frame: pl.DataFrame, names: Sequence[str], what: str) -> None:
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise BadFeature(f"the {what} frame lacks the column(s) {', '.join(absent)}")


def _one_row_per_key(frame: pl.DataFrame, what: str) -> pl.DataFrame:
    """Sort by key, which is what makes every later draw independent of the incoming order."""
    repeated = frame.height - frame.select(KEY).n_unique()
    if repeated:
        raise RepeatedCustomer(f"the {what} frame repeats customer_id and as_of_date {repeated}×")
    return frame.sort(KEY)


def _refuse_unfinished_labels(labelled: pl.DataFrame, as_of_date: dt.date) -> None:
    unfinished = labelled.filter(pl.col("label_until_date") > as_of_date)
    if unfinished.height:
        raise LeakedLabel(
            f"{unfinished.height} label(s) end on {unfinished['label_until_date'].max()}, after "
            f"the newest snapshot {as_of_date}: nobody can know them yet"
        )
    backward = labelled.filter(pl.col("label_until_date") <= pl.col("as_of_date")).height
    if backward:
        raise LeakedLabel(f"{backward} label(s) end on or before the snapshot they belong to")
