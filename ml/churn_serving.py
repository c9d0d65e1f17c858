"""Whose scores are published: those of the champion that there is, or of the model of this run.

Here belong the decision between both and what it leaves in the list of runs and in the scores.
The comparison itself is `ml.champion`'s; reading model files and writing tables is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from ml.champion import Decision, champion_of, crown, decide, recorded
from ml.churn import ChurnModel, ChurnResult, score_customers
from ml.errors import ModelRefused
from ml.model_runs import ModelRun


@dataclass(frozen=True)
class Served:
    """What to publish.

    `runs` has every run of the model, this one included, as it stands after the decision.
    `model_run_id` is the run that `scores` (a row per customer) and `importance` (a row per
    feature) come from.
    """

    decision: Decision
    model_run_id: str
    runs: pl.DataFrame
    scores: pl.DataFrame
    importance: pl.DataFrame

    @property
    def reason(self) -> str:
        """Why these scores and not the other model's."""
        return self.decision.reason


def serve(
    result: ChurnResult,
    run: ModelRun,
    runs: pl.DataFrame,
    newest: pl.DataFrame,
    load: Callable[[str], ChurnModel],
) -> Served:
    """Let the new model take over if it is better beyond noise, else score with the champion.

    `runs` are the earlier rows of `ml.model_runs` for this model, `newest` the snapshot to score.
    `load` returns the model of an artifact path and raises ModelRefused when it cannot.
    """
    runs = recorded(runs, run)
    champion_id = champion_of(runs, run.model_name)
    if champion_id == run.model_run_id:
        # Made again from the same data by the same code: it is the champion.
        decision = Decision("promoted", "the champion, made again from the same data")
        return Served(decision, champion_id, runs, result.scores, result.importance)
    champion = _champion(runs, champion_id, load)
    decision = decide(
        champion,
        result.model,
        result.holdout,
        features=result.features,
        seed=result.parameters["seed"],
        is_pinned=bool(_row(runs, champion_id)["is_pinned"]) if champion_id else False,
    )
    runs = crown(runs, run.model_name, run.model_run_id, decision)
    if decision.is_promoted:
        return Served(decision, run.model_run_id, runs, result.scores, result.importance)
    scores, importance = score_customers(champion, newest)
    return Served(decision, champion_id, runs, scores, importance)


def _champion(
    runs: pl.DataFrame, run_id: str | None, load: Callable[[str], ChurnModel]
) -> ChurnModel | ModelRefused | None:
    if run_id is None:
        return None
    try:
        return load(_row(runs, run_id)["artifact_path"])
    except ModelRefused as refusal:
        return refusal


def _row(runs: pl.DataFrame, run_id: str) -> dict[str, object]:
    return runs.row(by_predicate=pl.col("model_run_id") == run_id, named=True)
