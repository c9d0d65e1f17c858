"""Champion and challenger: a new model takes over only when it is better beyond noise.

Here belong the comparison on one holdout that neither has seen, the decision with its reason, and
what a list of model runs looks like after a decision or a way back. Fitting, and what a model says
of a row, belong to the models; keeping files and rows to the wiring: a rollback works only as long
as the file of the run before is kept.

What decides is the criterion of the contest's measures (the squared error of a probability or an
amount, the recall of a list), and no measure of ranking may be worse beyond noise. A model that has
seen the holdout stands aside for its twin, the same method trained by the holdout's day: the
present champion is usually a refit of the model that was judged.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

import numpy as np
import polars as pl

from ml.errors import ModelRefused, NotEnoughHistory
from ml.judgement import CutOff, Figure, RankedOutcomes, judge_cut_offs
from ml.model_runs import ModelRun

Outcome = Literal["promoted", "kept", "pinned", "not_comparable", "replayed"]


class Contender(Protocol):
    """A model that can be compared: the last day that it learned from, and its twin if it has one.

    The twin is the same method, trained by the day of the holdout and judged there.
    """

    trained_until: str

    @property
    def twin(self) -> Self | None:
        """The twin."""

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""


@dataclass(frozen=True)
class Contest:
    """Rows that happened after `day`, what came of each, and how to ask a model about them.

    `says(model)` returns a figure for every row; `customers` has the customer of every row, who is
    drawn with all rows or not at all. `measures` is a class as in `ml.judgement`.
    """

    day: dt.date
    customers: pl.Series
    outcome: np.ndarray
    says: Callable[[Any], np.ndarray]
    seed: int
    measures: type = RankedOutcomes

    def gains(self, challenger: Contender, champion: Contender) -> dict[str, Figure]:
        """Return what the challenger gains over the champion, by measure."""
        said = {"challenger": self.says(challenger), "champion": self.says(champion)}
        cut_off = CutOff(self.customers, self.outcome, said)
        _, judged = judge_cut_offs([cut_off], seed=self.seed, kind=self.measures)
        return judged.gains["champion"]


@dataclass(frozen=True)
class Decision:
    """Who serves from now on, why, and the figures behind it.

    `gains` are the challenger's over the champion by measure, as (gain, low, high); above zero is
    better whichever way the measure goes.
    """

    outcome: Outcome
    reason: str
    gains: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def is_promoted(self) -> bool:
        """Whether the challenger takes over."""
        return self.outcome == "promoted"


def decide(
    champion: Contender | ModelRefused | None,
    challenger: Contender,
    contest: Contest,
    *,
    is_pinned: bool = False,
) -> Decision:
    """Compare both on the holdout and say who serves.

    In place of a champion whose file could not be read, or was trained on other features, the
    refusal of it is given. A pinned champion is one that a person put back: it stays until a person
    lets it go. A champion that cannot score today's data is replaced without a comparison, since
    nobody would be scored at all.
    """
    if champion is None:
        return Decision("promoted", "there is no champion yet")
    if isinstance(champion, ModelRefused):
        return _unable(champion)
    if is_pinned:
        return Decision("pinned", "a person put this champion back; it stays until let go")
    contenders = {
        "champion": standing_at(champion, contest.day),
        "challenger": standing_at(challenger, contest.day),
    }
    knowing = [name for name, model in contenders.items() if model is None]
    if knowing:
        return Decision(
            "not_comparable",
            f"the {knowing[0]} was trained on labels that end after {contest.day}, and has no twin "
            "that was not; the champion stays",
        )
    try:
        gains = contest.gains(contenders["challenger"], contenders["champion"])
    except ModelRefused as refusal:
        return _unable(refusal)
    return _weighed(gains, contest.measures)


def standing_at(model: Contender, day: dt.date) -> Contender | None:
    """Return the model, or else its twin, if what it learned from had ended by `day`."""
    for one in (model, model.twin):
        if one is not None and one.trained_until <= day.isoformat():
            return one
    return None


def _unable(refusal: ModelRefused) -> Decision:
    why = str(refusal).removesuffix(".")
    return Decision("promoted", f"the champion cannot score today's data: {why}")


def _weighed(gains: dict[str, Figure], measures: Any) -> Decision:
    criterion, not_worse = measures.criterion, measures.not_worse
    undefined = [name for name in (criterion, *not_worse) if not math.isfinite(gains[name].low)]
    worse = [name for name in not_worse if gains[name].is_below_zero]
    said = f"gain in {criterion} {_words(gains[criterion])}"
    if undefined:
        outcome = "not_comparable"
        reason = f"the holdout says nothing of {' and '.join(undefined)}; the champion stays"
    elif not gains[criterion].is_above_zero:
        outcome, reason = "kept", f"not better beyond noise: {said}"
    elif worse:
        outcome, reason = "kept", f"{said}, but worse in {' and '.join(worse)} beyond noise"
    else:
        outcome, reason = "promoted", f"better beyond noise: {said}"
    figures = {name: (one.value, one.low, one.high) for name, one in gains.items()}
    return Decision(outcome, reason, figures)


def _words(figure: Figure) -> str:
    # Adding nothing makes a zero of a negative one.
    value, low, high = (f"{one + 0.0:+.5f}" for one in (figure.value, figure.low, figure.high))
    return f"{value} ({low} to {high})"


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
        raise NotEnoughHistory(
            f"There is no champion of {model_name} before {present} to go back to."
        )
    this = mine & (pl.col("model_run_id") == to)
    kept = ", ".join(runs.filter(mine)["model_run_id"])
    _required(runs, this, f"There is no run {to} of {model_name} to go back to, only {kept}.")
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


def champion_row(runs: pl.DataFrame, model_name: str) -> dict[str, Any]:
    """Return the row of the run that serves; empty when none does.

    Raises:
        ModelRefused: more than one run says that it does.

    """
    champion_id = champion_of(runs, model_name)
    if champion_id is None:
        return {}
    return runs.row(by_predicate=pl.col("model_run_id") == champion_id, named=True)


def outlived(runs: pl.DataFrame, model_name: str, kept: int) -> list[str]:
    """Return the runs of a model that nobody needs to go back to.

    Needed are the champion, the one it followed, and the latest `kept` in the order of `runs`, to
    which `recorded` adds at the end.
    """
    mine = runs.filter(pl.col("model_name") == model_name)
    champion = mine.filter("is_champion")
    needed = {*champion["model_run_id"], *champion["followed_run_id"]}
    needed |= set(mine["model_run_id"].tail(kept))
    return [run for run in mine["model_run_id"] if run not in needed]


def _serving(runs: pl.DataFrame, mine: pl.Expr, this: pl.Expr, *, is_pinned: bool) -> pl.DataFrame:
    return runs.with_columns(
        is_champion=pl.when(mine).then(this).otherwise("is_champion"),
        is_pinned=pl.when(mine).then(this & is_pinned).otherwise("is_pinned"),
    )


def _required(runs: pl.DataFrame, this: pl.Expr, message: str) -> None:
    if runs.filter(this).is_empty():
        raise NotEnoughHistory(message)
