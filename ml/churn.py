"""Churn: the probability that a customer buys nothing in the next 28 days.

Here belong the split by time, the model, its calibration and its judgement beside the recency-only
baseline. Features and labels are made in dbt (`marts.mart_customer_features`,
`marts.mart_churn_labels`); this module only rescales them.

A snapshot may train a model judged at a holdout only if its label window has ended by the holdout's
`as_of_date`: otherwise the label already tells part of what is to be predicted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from ml.errors import (
    BadFeature,
    CustomersAlike,
    LeakedLabel,
    NotEnoughHistory,
    OneClassLabel,
    RepeatedCustomer,
)
from ml.model_runs import as_figures
from ml.threads import one_thread

BASELINE_FEATURE = "recency_days"
KEY = ("customer_id", "as_of_date")

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
    "store_count_90d",
    "weekend_share_90d",
    "coupon_redemption_count_90d",
    "campaign_contact_count_90d",
)

# What an empty value means and what stands in for it: another column of the same row, or a number.
# The order counts (the second rule reads what the first has filled). An empty value in any other
# column, and NaN or infinity in any column, is refused.
MISSING_POLICY: dict[str, tuple[str | float, str]] = {
    "mean_gap_days": (
        "tenure_days",
        "one day of purchase has no gap; the gap is at least the time since then",
    ),
    "gap_deviation_days": (
        "mean_gap_days",
        "fewer than two gaps; purchases at random vary by as much as their mean gap",
    ),
    "recency_over_mean_gap": (1.0, "no gap; recency over the time since the only purchase is 1"),
    "average_order_amount": (0.0, "nothing bought in the window"),
    "discount_share_90d": (0.0, "nothing bought in the window"),
    "weekend_share_90d": (0.0, "nothing bought in the window"),
}


@dataclass(frozen=True)
class ChurnSettings:
    """What may be tuned; recorded as the parameters of the run."""

    seed: int = 20170101
    inverse_penalty: float = 0.1
    boosting_rounds: int = 150
    boosting_learning_rate: float = 0.05
    boosting_leaves: int = 8
    boosting_leaf_customers: int = 100
    boosting_feature_share: float = 0.3
    boosting_penalty: float = 5.0
    calibration_folds: int = 3
    least_customers: int = 50
    least_outcomes: int = 10
    most_training_rows: int = 200_000
    scoring_chunk_rows: int = 200_000


@dataclass(frozen=True)
class ChurnModel:
    """A fitted model: two learners averaged, and a calibration line over the log odds."""

    features: tuple[str, ...]
    used_features: tuple[str, ...]
    logistic: Any
    boosting: Any
    calibration_slope: float
    calibration_intercept: float
    trained_until: str

    def score(self, frame: pl.DataFrame, chunk_rows: int = 200_000) -> np.ndarray:
        """Return the churn score of every row of `frame`, in its order and in bounded memory."""
        chunks = [
            self._score(_matrix(chunk, self.used_features))
            for chunk in frame.iter_slices(chunk_rows)
        ]
        return np.concatenate(chunks) if chunks else np.empty(0)

    def _score(self, matrix: np.ndarray) -> np.ndarray:
        with one_thread():
            odds = _log_odds(_averaged(self.logistic, self.boosting, matrix))
        return 1 / (1 + np.exp(-(self.calibration_slope * odds + self.calibration_intercept)))

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {
            "used_features": list(self.used_features),
            "logistic": self.logistic,
            "boosting": self.boosting,
            "calibration_slope": self.calibration_slope,
            "calibration_intercept": self.calibration_intercept,
            "trained_until": self.trained_until,
        }

    @classmethod
    def from_parts(cls, features: Sequence[str], parts: dict[str, Any]) -> ChurnModel:
        """Rebuild the model from what `ml.artifacts.load` returns."""
        values = {**parts, "used_features": tuple(parts["used_features"])}
        return cls(features=tuple(features), **values)


@dataclass(frozen=True)
class ChurnResult:
    """Scores of the newest snapshot, the model behind them, and how its method was judged."""

    as_of_date: dt.date
    holdout_date: dt.date
    scores: pl.DataFrame
    model: ChurnModel
    lift: pl.DataFrame
    calibration: pl.DataFrame
    features: tuple[str, ...]
    parameters: dict[str, Any]
    metrics: dict[str, Any]


def train_and_score(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    feature_names: Sequence[str] = FEATURES,
    settings: ChurnSettings | None = None,
) -> ChurnResult:
    """Judge the method on the latest labelled snapshot, refit on all of them, score the newest.

    `features` holds all snapshots, `labels` those whose label window is complete. The published
    scores come from the refitted model; the metrics from the one that never saw the holdout.
    """
    settings = settings or ChurnSettings()
    names = tuple(feature_names)
    _require_columns(features, (*KEY, *names), "features")
    _require_columns(labels, (*KEY, "label_until_date", "is_churned"), "labels")
    features = _one_row_per_key(features, "features")
    labels = _one_row_per_key(labels, "labels")
    if features.is_empty():
        raise NotEnoughHistory(
            f"not enough history: 0 customers, {settings.least_customers} needed"
        )
    as_of_date = features["as_of_date"].max()
    labelled = features.join(labels, on=list(KEY), how="inner", validate="1:1").sort(KEY)
    _refuse_unfinished_labels(labelled, as_of_date)
    _check_values(features, names)

    holdout_date, train, holdout, overlapping = split_by_time(labelled)
    judged = fit(train, known_until=holdout_date, feature_names=names, settings=settings)
    baseline = _fit_recency_only(train)
    outcome = _outcome(holdout)
    if outcome.min() == outcome.max():
        raise OneClassLabel(_one_class_message(outcome, f"the holdout of {holdout_date}"))
    score = judged.score(holdout, settings.scoring_chunk_rows)
    baseline_score = baseline.predict_proba(_matrix(holdout, (BASELINE_FEATURE,)))[:, 1]
    lift = lift_table(outcome, score)
    calibration = calibration_table(outcome, score)

    # The published model carries the calibration line that was judged: it is a property of the
    # method, and estimating it again would cost as many fits as all the rest.
    published = fit(
        labelled,
        known_until=as_of_date,
        feature_names=names,
        settings=settings,
        line=(judged.calibration_slope, judged.calibration_intercept),
    )
    newest = features.filter(pl.col("as_of_date") == as_of_date)
    scores = newest.select(
        "customer_id",
        churn_score=pl.Series(published.score(newest, settings.scoring_chunk_rows)).round(6),
    )
    return ChurnResult(
        as_of_date=as_of_date,
        holdout_date=holdout_date,
        scores=scores,
        model=published,
        lift=lift,
        calibration=calibration,
        features=names,
        parameters=as_figures(
            asdict(settings)
            | {
                "missing": {
                    name: list(MISSING_POLICY[name]) for name in names if name in MISSING_POLICY
                },
                "training": "snapshots whose label window ends on or before the holdout",
            }
        ),
        metrics=as_figures(
            {
                "holdout_date": holdout_date,
                "horizon_days": (holdout["label_until_date"].max() - holdout_date).days,
                "customer_count": holdout.height,
                "base_rate": outcome.mean(),
                "model": judge(outcome, score),
                "recency_only": judge(outcome, baseline_score),
                "lift": lift.to_dicts(),
                "calibration": calibration.to_dicts(),
                "training_row_count": train.height,
                "training_snapshots": train["as_of_date"].unique().sort().to_list(),
                "overlapping_row_count": overlapping,
                "unused_features": [n for n in names if n not in judged.used_features],
                "published_training_row_count": labelled.height,
                "published_mean_score": scores["churn_score"].mean(),
            }
        ),
    )


def split_by_time(
    labelled: pl.DataFrame, holdout_date: dt.date | None = None
) -> tuple[dt.date, pl.DataFrame, pl.DataFrame, int]:
    """Split into (holdout date, training rows, holdout rows, number of rows that fit neither).

    The holdout is the latest labelled snapshot unless another is named. Earlier snapshots whose
    label window reaches past it are left out: they are what makes a churn model look too good.
    """
    if labelled.is_empty():
        raise NotEnoughHistory("not enough history: no snapshot has a complete label yet")
    holdout_date = holdout_date or labelled["as_of_date"].max()
    holdout = labelled.filter(pl.col("as_of_date") == holdout_date)
    train = labelled.filter(pl.col("label_until_date") <= holdout_date)
    overlapping = labelled.filter(
        (pl.col("label_until_date") > holdout_date) & (pl.col("as_of_date") < holdout_date)
    ).height
    if train.is_empty() or holdout.is_empty():
        snapshots = labelled["as_of_date"].n_unique()
        raise NotEnoughHistory(
            f"not enough history: {snapshots} labelled snapshot(s) up to {holdout_date}, but none "
            "whose label window ends before it; at least two are needed, to train and to judge"
        )
    return holdout_date, train, holdout, overlapping


def fit(
    train: pl.DataFrame,
    *,
    known_until: dt.date,
    feature_names: Sequence[str] = FEATURES,
    settings: ChurnSettings | None = None,
    line: tuple[float, float] | None = None,
) -> ChurnModel:
    """Fit the averaged, calibrated model on labelled snapshots known by `known_until`.

    `line` is a calibration (slope, intercept) already known; without one it is cross-fitted.
    """
    settings = settings or ChurnSettings()
    names = tuple(feature_names)
    leaked = train.filter(pl.col("label_until_date") > known_until)
    if leaked.height:
        raise LeakedLabel(
            f"{leaked.height} training row(s) have labels up to {leaked['label_until_date'].max()}"
            f", after {known_until}: the model would learn what it is asked to predict"
        )
    customers = train["customer_id"].n_unique()
    if customers < settings.least_customers:
        raise NotEnoughHistory(
            f"not enough history: {customers} customers, {settings.least_customers} needed to "
            "train a churn model"
        )
    train = _sampled(train.sort(KEY), settings)
    outcome = _outcome(train)
    if outcome.min() == outcome.max():
        raise OneClassLabel(_one_class_message(outcome, "the training snapshots"))
    rarest = int(min(outcome.sum(), len(outcome) - outcome.sum()))
    if rarest < settings.least_outcomes:
        raise NotEnoughHistory(
            f"not enough history: only {rarest} row(s) of the rarer outcome, "
            f"{settings.least_outcomes} needed to train a churn model"
        )
    _check_values(train, names)
    matrix = _matrix(train, names)
    varies = np.ptp(matrix, axis=0) > 0
    if not varies.any():
        raise CustomersAlike(f"all {customers} customers are alike in every one of the features")
    used = tuple(name for name, keep in zip(names, varies, strict=True) if keep)
    matrix = np.ascontiguousarray(matrix[:, varies])
    groups = train["customer_id"].rank("dense").to_numpy()
    with one_thread():
        slope, intercept = line or _calibration_line(matrix, outcome, groups, settings)
        logistic, boosting = _fit_pair(matrix, outcome, settings)
    return ChurnModel(
        features=names,
        used_features=used,
        logistic=logistic,
        boosting=boosting,
        calibration_slope=slope,
        calibration_intercept=intercept,
        trained_until=str(train["label_until_date"].max()),
    )


def judge(outcome: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """Return discrimination (ROC-AUC, PR-AUC) and accuracy of the probability (Brier)."""
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    return {
        "roc_auc": float(roc_auc_score(outcome, score)),
        "pr_auc": float(average_precision_score(outcome, score)),
        "brier": float(brier_score_loss(outcome, score)),
    }


def lift_table(outcome: np.ndarray, score: np.ndarray) -> pl.DataFrame:
    """Return one row per tenth of customers, the likeliest to churn first."""
    place = pl.Series(-score).rank("ordinal").to_numpy() - 1
    return (
        pl.DataFrame({"decile": place * 10 // len(score) + 1, "y": outcome, "score": score})
        .group_by("decile")
        .agg(
            customer_count=pl.len().cast(pl.Int64),
            churned_count=pl.col("y").sum(),
            churned_share=pl.col("y").mean(),
            mean_churn_score=pl.col("score").mean(),
        )
        .sort("decile")
        .with_columns(
            pl.col("decile").cast(pl.Int64),
            pl.col("churned_count").cast(pl.Int64),
            lift=pl.col("churned_share") / outcome.mean(),
            captured_share=pl.col("churned_count").cum_sum() / outcome.sum(),
        )
        .with_columns(cs.float().round(6))
    )


def calibration_table(outcome: np.ndarray, score: np.ndarray, bins: int = 10) -> pl.DataFrame:
    """Return one row per band of score: what was said beside what happened."""
    band = np.minimum((score * bins).astype(int), bins - 1)
    return (
        pl.DataFrame({"band": band, "y": outcome, "score": score})
        .group_by("band")
        .agg(
            customer_count=pl.len().cast(pl.Int64),
            mean_churn_score=pl.col("score").mean(),
            churned_share=pl.col("y").mean(),
        )
        .sort("band")
        .select(
            score_from=pl.col("band") / bins,
            score_to=(pl.col("band") + 1) / bins,
            customer_count="customer_count",
            mean_churn_score="mean_churn_score",
            churned_share="churned_share",
        )
        .with_columns(cs.float().round(6))
    )


def _fit_pair(matrix: np.ndarray, outcome: np.ndarray, settings: ChurnSettings) -> tuple[Any, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logistic = make_pipeline(
        StandardScaler(), LogisticRegression(C=settings.inverse_penalty, max_iter=1000)
    ).fit(matrix, outcome)
    boosting = HistGradientBoostingClassifier(
        max_iter=settings.boosting_rounds,
        learning_rate=settings.boosting_learning_rate,
        max_leaf_nodes=settings.boosting_leaves,
        min_samples_leaf=settings.boosting_leaf_customers,
        max_features=settings.boosting_feature_share,
        l2_regularization=settings.boosting_penalty,
        early_stopping=False,
        random_state=settings.seed,
    ).fit(matrix, outcome)
    return logistic, boosting


def _averaged(logistic: Any, boosting: Any, matrix: np.ndarray) -> np.ndarray:
    return (logistic.predict_proba(matrix)[:, 1] + boosting.predict_proba(matrix)[:, 1]) / 2


def _calibration_line(
    matrix: np.ndarray, outcome: np.ndarray, groups: np.ndarray, settings: ChurnSettings
) -> tuple[float, float]:
    """Fit a line over the log odds of scores given by models that never saw that customer.

    Cross-fitting by customer uses every training snapshot and nothing of the holdout; the same
    customer's other snapshots would otherwise vouch for their own score.
    """
    from sklearn.linear_model import LogisticRegression

    fold = np.random.default_rng(settings.seed).integers(
        settings.calibration_folds, size=int(groups.max()) + 1
    )[groups]
    unseen = np.full(len(outcome), np.nan)
    for number in range(settings.calibration_folds):
        out = fold == number
        if not out.any() or np.ptp(outcome[~out]) == 0:
            continue
        unseen[out] = _averaged(*_fit_pair(matrix[~out], outcome[~out], settings), matrix[out])
    known = ~np.isnan(unseen)
    odds = _log_odds(unseen[known]).reshape(-1, 1)
    if np.ptp(outcome[known]) == 0 or np.ptp(odds) == 0:
        return 1.0, 0.0
    line = LogisticRegression(C=1e6).fit(odds, outcome[known])
    slope = float(line.coef_[0, 0])
    # A falling line would turn the ranking round: noise then, and better left uncalibrated.
    return (slope, float(line.intercept_[0])) if slope > 0 else (1.0, 0.0)


def _fit_recency_only(train: pl.DataFrame) -> Any:
    from sklearn.linear_model import LogisticRegression

    with one_thread():
        return LogisticRegression(C=1e6).fit(_matrix(train, (BASELINE_FEATURE,)), _outcome(train))


def _log_odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def _matrix(frame: pl.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Fill by the policy, then log-scale; the sign is kept, as returns can outweigh purchases."""
    _require_columns(frame, names, "features")
    for name, (fill, _) in MISSING_POLICY.items():
        if name in frame.columns:
            if isinstance(fill, str):
                _require_columns(frame, (fill,), "features")
            value = pl.col(fill) if isinstance(fill, str) else pl.lit(fill)
            frame = frame.with_columns(pl.col(name).cast(pl.Float64).fill_null(value))
    values = frame.select(pl.col(name).cast(pl.Float64) for name in names).to_numpy()
    if not np.isfinite(values).all():
        _check_values(frame, names)
        raise BadFeature("an empty value remains after the missing-value policy was applied")
    return np.sign(values) * np.log1p(np.abs(values))


def _check_values(frame: pl.DataFrame, names: Sequence[str]) -> None:
    wrong = []
    for name in names:
        column = frame[name]
        if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            wrong.append(f"{name} is {column.dtype}, not a number")
            continue
        empty = 0 if name in MISSING_POLICY else column.null_count()
        unreal = int((~column.drop_nulls().cast(pl.Float64).is_finite()).sum())
        if empty:
            wrong.append(f"{name} is empty in {empty} row(s)")
        if unreal:
            wrong.append(f"{name} is NaN or infinite in {unreal} row(s)")
    if wrong:
        raise BadFeature("no policy covers these feature values: " + "; ".join(wrong))


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


def _sampled(train: pl.DataFrame, settings: ChurnSettings) -> pl.DataFrame:
    """Bound the cost of fitting by whole customers, so that folds by customer stay clean."""
    if train.height <= settings.most_training_rows:
        return train
    customers = train["customer_id"].unique().sort()
    keep = int(len(customers) * settings.most_training_rows / train.height)
    chosen = np.random.default_rng(settings.seed).permutation(len(customers))[:keep]
    return train.join(
        customers[np.sort(chosen)].to_frame(), on="customer_id", how="semi", maintain_order="left"
    )


def _outcome(frame: pl.DataFrame) -> np.ndarray:
    if frame["is_churned"].null_count():
        raise BadFeature(f"is_churned is empty in {frame['is_churned'].null_count()} row(s)")
    return frame["is_churned"].cast(pl.Int8).to_numpy().astype(np.int64)


def _one_class_message(outcome: np.ndarray, where: str) -> str:
    what = "churned" if outcome.min() else "stayed"
    return f"every one of the {len(outcome)} customers of {where} {what}: nothing to tell apart"
