"""Training of a churn model: what may be learned by a day, and the model that stood there.

Here belong the split by time, fitting under the settings, and the calibration line. Judging the
method and scoring belong to `ml.churn`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ml.averaged_pair import AveragedPair, PairSettings
from ml.calibration import Line, calibration_line, rarest
from ml.churn_model import CHUNK_ROWS, ChurnModel
from ml.churn_segments import Segmentation, fit_specialists
from ml.errors import BadFeature, LeakedLabel, ModelRefused, NotEnoughHistory, OneClassLabel
from ml.feature_matrix import feature_matrix
from ml.feature_policy import FeaturePolicy, needed_policies
from ml.trained_on import digest_of

KEY = ("customer_id", "as_of_date")


@dataclass(frozen=True)
class ChurnSettings:
    """What may be tuned; recorded as the parameters of the run."""

    seed: int = 20170101
    pair: PairSettings = field(default_factory=PairSettings)
    cut_offs: int = 3
    segments: int = 4
    calibration_folds: int = 3
    least_customers: int = 50
    least_outcomes: int = 10
    most_training_rows: int = 200_000
    scoring_chunk_rows: int = CHUNK_ROWS


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


@dataclass(frozen=True)
class Method:
    """What stays the same from one cut-off to the next."""

    names: tuple[str, ...]
    policies: Mapping[str, FeaturePolicy]
    settings: ChurnSettings

    def matrix(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the numbers that the learners read of each row."""
        return feature_matrix(frame, self.names, self.policies)

    def sampled(self, train: pl.DataFrame) -> pl.DataFrame:
        """Bound the cost of fitting and judging, by whole customers so that folds stay clean."""
        train = train.sort(KEY)
        if train.height <= self.settings.most_training_rows:
            return train
        customers = train["customer_id"].unique().sort()
        keep = int(len(customers) * self.settings.most_training_rows / train.height)
        chosen = np.random.default_rng(self.settings.seed).permutation(len(customers))[:keep]
        return train.join(
            customers[np.sort(chosen)].to_frame(),
            on="customer_id",
            how="semi",
            maintain_order="left",
        )

    def pair(self, train: pl.DataFrame) -> AveragedPair:
        """Fit the two learners, or say by name why not."""
        settings = self.settings
        customers = train["customer_id"].n_unique()
        if customers < settings.least_customers:
            raise NotEnoughHistory(
                f"not enough history: {customers} customers, {settings.least_customers} needed to "
                "train a churn model"
            )
        outcome = outcome_of(train)
        if outcome.min() == outcome.max():
            raise OneClassLabel(one_class_message(outcome, "the training snapshots"))
        rarer = rarest(outcome)
        if rarer < settings.least_outcomes:
            raise NotEnoughHistory(
                f"not enough history: only {rarer} row(s) of the rarer outcome, "
                f"{settings.least_outcomes} needed to train a churn model"
            )
        return AveragedPair.fit(
            self.matrix(train), outcome, self.names, settings.pair, settings.seed
        )

    def specialists(
        self, train: pl.DataFrame, segmentation: Segmentation | None, wanted: Sequence[int]
    ) -> dict[int, AveragedPair]:
        """Fit a pair for each wanted segment that is large enough."""
        if segmentation is None or not wanted:
            return {}
        matrix = self.matrix(train)
        return fit_specialists(
            segmentation.of(matrix, self.names),
            wanted,
            matrix,
            outcome_of(train),
            self.names,
            settings=self.settings.pair,
            seed=self.settings.seed,
            least_rows=10 * self.settings.least_customers,
            least_outcomes=5 * self.settings.least_outcomes,
        )

    def model(
        self,
        train: pl.DataFrame,
        line: Line,
        segmentation: Segmentation | None = None,
        kept: Sequence[int] = (),
        pair: AveragedPair | None = None,
    ) -> ChurnModel:
        """Put a model together from (sampled) training rows."""
        specialists = self.specialists(train, segmentation, kept)
        return ChurnModel(
            features=self.names,
            policies=needed_policies(self.policies, self.names),
            pair=pair or self.pair(train),
            calibration_slope=line[0],
            calibration_intercept=line[1],
            trained_until=str(train["label_until_date"].max()),
            segmentation=segmentation if specialists else None,
            specialists=specialists,
            trained_on=digest_of(train["customer_id"].unique()),
        )

    def line(self, train: pl.DataFrame, said: Sequence[Said]) -> Line:
        """Find the calibration of a model trained on `train` by what models before it `said`.

        Several snapshots together, since one alone has its own season: a line through it would
        promise the next one the same.
        """
        odds, outcome = (np.concatenate([np.empty(0), *parts]) for parts in _columns(said))
        if rarest(outcome) >= self.settings.least_outcomes:
            return calibration_line(odds, outcome)
        return self._cross_fitted_line(train)

    def _cross_fitted_line(self, train: pl.DataFrame) -> Line:
        """Find the line from scores given by models that never saw that customer.

        A customer's other snapshots would otherwise vouch for their own score.
        """
        settings = self.settings
        matrix, outcome = self.matrix(train), outcome_of(train)
        groups = train["customer_id"].rank("dense").to_numpy()
        fold = np.random.default_rng(settings.seed).integers(
            settings.calibration_folds, size=int(groups.max()) + 1
        )[groups]
        unseen = np.full(len(outcome), np.nan)
        for number in range(settings.calibration_folds):
            out = fold == number
            if not out.any() or rarest(outcome[~out]) == 0:
                continue
            pair = AveragedPair.fit(
                matrix[~out], outcome[~out], self.names, settings.pair, settings.seed
            )
            unseen[out] = pair.log_odds(matrix[out], self.names)
        known = ~np.isnan(unseen)
        return calibration_line(unseen[known], outcome[known])


# Log odds before calibration, and what happened.
Said = tuple[np.ndarray, np.ndarray]


def _columns(said: Sequence[Said]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [odds for odds, _ in said], [outcome for _, outcome in said]


@dataclass(frozen=True)
class Standing:
    """A pair fitted on what was known by `day`, and what it says of the snapshot of that day."""

    day: dt.date
    train: pl.DataFrame
    rows: pl.DataFrame
    pair: AveragedPair
    odds: np.ndarray
    outcome: np.ndarray

    @classmethod
    def at(cls, labelled: pl.DataFrame, day: dt.date | None, method: Method) -> Standing | None:
        """Return None where no model can stand."""
        if day is None:
            return None
        rows = method.sampled(labelled.filter(pl.col("as_of_date") == day))
        train = method.sampled(labelled.filter(pl.col("label_until_date") <= day))
        if train.is_empty() or rows.is_empty():
            return None
        try:
            pair = method.pair(train)
        except ModelRefused:
            return None
        odds = pair.log_odds(method.matrix(rows), method.names)
        return cls(day, train, rows, pair, odds, outcome_of(rows))

    @property
    def said(self) -> Said:
        """What it says before calibration, and what happened."""
        return self.odds, self.outcome


def chain_before(labelled: pl.DataFrame, train: pl.DataFrame, method: Method) -> list[Standing]:
    """Return the models that stood at the cut-offs before one trained on `train`, latest first."""
    chain: list[Standing] = []
    while len(chain) < method.settings.cut_offs:
        known = chain[-1].train if chain else train
        before = Standing.at(labelled, known["as_of_date"].max(), method)
        if before is None:
            break
        chain.append(before)
    return chain


def refuse_leaks(train: pl.DataFrame, known_until: dt.date) -> None:
    """Raise when a label of the training rows tells of days after `known_until`."""
    leaked = train.filter(pl.col("label_until_date") > known_until)
    if leaked.height:
        raise LeakedLabel(
            f"{leaked.height} training row(s) have labels up to {leaked['label_until_date'].max()}"
            f", after {known_until}: the model would learn what it is asked to predict"
        )


def outcome_of(frame: pl.DataFrame) -> np.ndarray:
    """Return 1 for every row that churned and 0 for the others."""
    if frame["is_churned"].null_count():
        raise BadFeature(f"is_churned is empty in {frame['is_churned'].null_count()} row(s)")
    return frame["is_churned"].cast(pl.Int8).to_numpy().astype(np.int64)


def one_class_message(outcome: np.ndarray, where: str) -> str:
    """Say that there is nothing to learn or to judge."""
    what = "churned" if outcome.min() else "stayed"
    return f"every one of the {len(outcome)} customers of {where} {what}: nothing to tell apart"
