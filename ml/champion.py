"""Champion and challenger: a new model takes over only when it is better beyond noise.

Here belong the comparison on one holdout that neither has seen, the decision with its reason, and
what a list of model runs looks like after a decision or a way back. Fitting belongs to the models,
keeping files and rows to the wiring: a rollback works only as long as the file of the run before
is kept.

Judged is the mean squared error of the probability, which a model can lower both by ranking better
and by being better calibrated; and neither ranking measure may be worse beyond noise. A model that
has seen the holdout stands aside for its twin, the same method trained by the holdout's day: the
present champion is usually a refit of the model that was judged.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl

from ml.errors import ModelRefused, NotEnoughHistory
from ml.judgement import CutOff, judge_cut_offs
from ml.model_runs import ModelRun

CRITERION = "brier"
NOT_WORSE = ("roc_auc", "pr_auc")

Outcome = Literal["promoted", "kept", "pinned", "not_comparable"]


class Contender(Protocol):
    """A model that can be compared."""

    trained_until: str

    def score(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the probability of every row."""

    def standing_at(self, day: dt.date) -> Contender | None:
        """Return the model, or its twin, that knew no label after `day`."""

    def refuse_other_features(self, offered: Sequence[str]) -> None:
        """Raise FeatureListChanged unless the model was trained on these features."""


@dataclass(frozen=True)
class Decision:
    """Who serves from now on, why, and the figures behind it.

    `gains` are the challenger's over the champion by measure, as (gain, low, high); above zero is
    better whichever way the measure goes.
    """

    outcome: Outcome
    reason: str
    customer_count: int = 0
    gains: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def is_promoted(self) -> bool:
        """Whether the challenger takes over."""
        return self.outcome == "promoted"

    def as_figures(self) -> dict[str, Any]:
        """Return what the metrics of the run carry."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "customer_count": self.customer_count,
            "gains": {name: list(gain) for name, gain in self.gains.items()},
        }


def decide(
    champion: Contender | ModelRefused | None,
    challenger: Contender,
    holdout: pl.DataFrame,
    *,
    features: Sequence[str],
    seed: int,
    is_pinned: bool = False,
    outcome_column: str = "is_churned",
) -> Decision:
    """Compare both on `holdout`, one labelled snapshot, and say who serves.

    `features` is the list that today's data offers. In place of a champion whose file could not be
    read, the refusal of it is given. A pinned champion is one that a person put
    back: it stays until a person lets it go. A champion that cannot score today's data is replaced
    without a comparison, since nobody would be scored at all.

    Raises:
        FeatureListChanged: the challenger itself was trained on other features.

    """
    challenger.refuse_other_features(features)
    if champion is None:
        return Decision("promoted", "there is no champion yet")
    try:
        if isinstance(champion, ModelRefused):
            raise champion
        champion.refuse_other_features(features)
    except ModelRefused as error:
        return Decision("promoted", f"the champion cannot score today's data: {error}")
    if is_pinned:
        return Decision("pinned", "a person put this champion back; it stays until let go")
    days = holdout["as_of_date"].unique().to_list()
    if len(days) != 1:
        return Decision(
            "not_comparable",
            f"a holdout is one snapshot, {len(days)} were given; the champion stays",
        )
    contenders = [model.standing_at(days[0]) for model in (champion, challenger)]
    if None in contenders:
        who = "champion" if contenders[0] is None else "challenger"
        return Decision(
            "not_comparable",
            f"the {who} was trained on labels that end after {days[0]}, and has no twin that was "
            "not; the champion stays",
        )
    return _compare(*contenders, holdout, holdout[outcome_column], seed)


def _compare(
    champion: Contender, challenger: Contender, holdout: pl.DataFrame, truth: pl.Series, seed: int
) -> Decision:
    outcome = truth.cast(pl.Int8).to_numpy().astype(np.int64)
    if outcome.min() == outcome.max():
        return Decision(
            "not_comparable", "every customer of the holdout did the same; the champion stays"
        )
    scores = {"challenger": challenger.score(holdout), "champion": champion.score(holdout)}
    _, judged = judge_cut_offs([CutOff(holdout["customer_id"], outcome, scores)], seed=seed)
    gains = judged.gains["champion"]
    worse = [name for name in NOT_WORSE if gains[name].is_below_zero]
    better = gains[CRITERION].is_above_zero
    said = f"gain in {CRITERION} {_words(gains[CRITERION])}"
    if better and not worse:
        outcome_, reason = "promoted", f"better beyond noise: {said}"
    elif better:
        outcome_, reason = "kept", f"{said}, but worse in {' and '.join(worse)} beyond noise"
    else:
        outcome_, reason = "kept", f"not better beyond noise: {said}"
    return Decision(
        outcome_,
        reason,
        holdout.height,
        {name: (one.value, one.low, one.high) for name, one in gains.items()},
    )


def _words(figure: Any) -> str:
    return f"{figure.value:+.5f} ({figure.low:+.5f} to {figure.high:+.5f})"


# What a list of runs needs beside its other columns. Exactly one run of a model is champion; each
# knows whom it followed, so that going back is following that link.
RUN_COLUMNS = {
    "is_champion": pl.Boolean,
    "is_pinned": pl.Boolean,
    "decision": pl.String,
    "followed_run_id": pl.String,
}


def recorded(runs: pl.DataFrame, run: ModelRun) -> pl.DataFrame:
    """Return the rows of `ml.model_runs` with this run's, no champion unless it was one before."""
    same = pl.col("model_run_id") == run.model_run_id
    known = runs.filter(same).select(*RUN_COLUMNS).rows(named=True)
    fate = known[0] if known else dict.fromkeys(RUN_COLUMNS)
    row = pl.DataFrame([run.as_row() | fate], schema=runs.schema)
    return pl.concat([runs.filter(~same), row]).with_columns(
        pl.col("is_champion", "is_pinned").fill_null(value=False)
    )


def crown(
    runs: pl.DataFrame, model_name: str, model_run_id: str, decision: Decision
) -> pl.DataFrame:
    """Return `runs` after a decision about the run `model_run_id` of a model.

    Raises:
        NotEnoughHistory: there is no such run.

    """
    mine = pl.col("model_name") == model_name
    this = mine & (pl.col("model_run_id") == model_run_id)
    _required(runs, this, f"no run {model_run_id} of {model_name}")
    before = champion_of(runs, model_name)
    runs = runs.with_columns(
        decision=pl.when(this).then(pl.lit(decision.reason)).otherwise("decision")
    )
    if not decision.is_promoted or before == model_run_id:
        return runs
    return _serving(runs, mine, this, is_pinned=False).with_columns(
        followed_run_id=pl.when(this).then(pl.lit(before, pl.String)).otherwise("followed_run_id")
    )


def roll_back(runs: pl.DataFrame, model_name: str, to: str | None = None) -> pl.DataFrame:
    """Return `runs` with an earlier champion serving again, pinned until `let_go`.

    Without `to`, it is the champion before the present one.

    Raises:
        NotEnoughHistory: there is no run to go back to.

    """
    mine = pl.col("model_name") == model_name
    present = champion_of(runs, model_name)
    if to is None:
        followed = runs.filter(mine & (pl.col("model_run_id") == present))["followed_run_id"]
        to = followed[0] if len(followed) else None
    if to is None:
        raise NotEnoughHistory(f"no champion of {model_name} before {present} to go back to")
    this = mine & (pl.col("model_run_id") == to)
    _required(runs, this, f"no run {to} of {model_name} to go back to")
    return _serving(runs, mine, this, is_pinned=True)


def let_go(runs: pl.DataFrame, model_name: str) -> pl.DataFrame:
    """Return `runs` with the champion no longer pinned: the next challenger may take over."""
    mine = pl.col("model_name") == model_name
    return runs.with_columns(is_pinned=pl.when(mine).then(False).otherwise("is_pinned"))


def champion_of(runs: pl.DataFrame, model_name: str) -> str | None:
    """Return the run that serves.

    Raises:
        ModelRefused: more than one run says that it does.

    """
    serving = runs.filter((pl.col("model_name") == model_name) & pl.col("is_champion"))
    if serving.height > 1:
        raise ModelRefused(f"{serving.height} runs of {model_name} claim to be the champion")
    return serving["model_run_id"][0] if serving.height else None


def _serving(runs: pl.DataFrame, mine: pl.Expr, this: pl.Expr, *, is_pinned: bool) -> pl.DataFrame:
    return runs.with_columns(
        is_champion=pl.when(mine).then(this).otherwise("is_champion"),
        is_pinned=pl.when(mine).then(this & is_pinned).otherwise("is_pinned"),
    )


def _required(runs: pl.DataFrame, this: pl.Expr, message: str) -> None:
    if runs.filter(this).is_empty():
        raise NotEnoughHistory(message)
