"""Whose scores are published: those of the champion that there is, or of the model of this run.

Here belong the decision between both and what it leaves in the list of runs. The comparison itself
is `ml.champion`'s; reading model files and writing tables is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ml.champion import (
    Contender,
    Contest,
    Decision,
    Outcome,
    champion_row,
    crown,
    decide,
    recorded,
)
from ml.errors import ModelRefused
from ml.model_runs import ModelRun

# "Kept" alone would be read as said of the new model.
_SERVING: dict[Outcome, str] = {
    "promoted": "the new model serves",
    "kept": "the champion stays",
    "pinned": "the champion stays",
    "not_comparable": "they were not compared",
    "replayed": "the new model serves this day alone",
}


@dataclass(frozen=True)
class Served:
    """The model to publish scores of.

    `runs` has every run of the model, this one included, as it stands after the decision.
    `model_run_id` is the run that `model` comes from.
    """

    decision: Decision
    model_run_id: str
    model: Contender
    runs: pl.DataFrame

    def told(self) -> str:
        """Say which model serves, and why."""
        return f"{_SERVING[self.decision.outcome]}: {self.decision.reason}"


def serve(
    challenger: Contender,
    contest: Contest,
    run: ModelRun,
    runs: pl.DataFrame,
    load: Callable[[str], Contender],
) -> Served:
    """Let the new model take over if it is better beyond noise, else let the champion serve on.

    `run` is the record of the challenger, `runs` are the earlier rows of `ml.model_runs` for this
    model. `load` returns the model of an artifact path and raises ModelRefused when it cannot. A
    day before the champion's own is scored by the new model, which knows nothing after that day,
    and the champion stays champion.
    """
    runs = recorded(runs, run)
    present = champion_row(runs, run.model_name)
    champion_id = present.get("model_run_id")
    if champion_id == run.model_run_id:
        # Made again from the same data by the same code: it is the champion.
        decision = Decision("promoted", "the champion, made again from the same data")
        return Served(decision, champion_id, challenger, runs)
    if decision := _replayed(run, present):
        runs = crown(runs, run.model_name, run.model_run_id, decision)
        return Served(decision, run.model_run_id, challenger, runs)
    champion = _loaded(present["artifact_path"], load) if present else None
    decision = decide(champion, challenger, contest, is_pinned=bool(present.get("is_pinned")))
    runs = crown(runs, run.model_name, run.model_run_id, decision)
    if decision.is_promoted:
        return Served(decision, run.model_run_id, challenger, runs)
    return Served(decision, champion_id, champion, runs)


def install(run: ModelRun, runs: pl.DataFrame, reason: str) -> pl.DataFrame:
    """Return `runs` after a run that serves from now on without a contest, for the reason given.

    Made for a day before the champion's own, it serves for that day alone.
    """
    runs = recorded(runs, run)
    decision = _replayed(run, champion_row(runs, run.model_name)) or Decision("promoted", reason)
    return crown(runs, run.model_name, run.model_run_id, decision)


def _replayed(run: ModelRun, champion: Mapping[str, Any]) -> Decision | None:
    if champion and champion["as_of_date"] > run.as_of_date:
        return Decision("replayed", f"the champion knows days after {run.as_of_date}")
    return None


def _loaded(path: str, load: Callable[[str], Contender]) -> Contender | ModelRefused:
    try:
        return load(path)
    except ModelRefused as refusal:
        return refusal
