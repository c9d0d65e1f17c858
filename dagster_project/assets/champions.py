"""The models that compete for service: how their files are read, who serves, and the way back.

What belongs here: the list of those models, and handing files and rows to ``ml.serving``.
What does not: the decision between two models (``ml/champion.py``) or any one model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import dagster as dg
import polars as pl

from dagster_project.resources import Warehouse, Write, warehouse_of
from dagster_project.settings import Settings
from dagster_project.tables import (
    CAMPAIGN_RESPONSES,
    CATEGORY_PROPENSITY,
    CHURN_SCORES,
    LIFETIME_VALUES,
    MODEL_RUNS,
    RECOMMENDATIONS,
    Table,
)
from ml import (
    campaign_response,
    category_propensity,
    champion,
    churn,
    lifetime_value,
    recommendation,
    value_rows,
)
from ml.artifacts import load_model
from ml.campaign_response import ResponseModel
from ml.category_propensity import CategoryModel
from ml.champion import Contender, Contest
from ml.churn_model import ChurnModel
from ml.errors import ModelRefused, NotEnoughHistory, RepeatedCustomer
from ml.model_runs import ModelRun
from ml.recommendation_model import RecommendationModel
from ml.serving import Served, serve
from ml.value_model import ValueModel

HORIZONS = (28, 90, 365)
VALUE_FEATURES = (*lifetime_value.FEATURES, *value_rows.OWN_FEATURES)


class UnknownModelError(LookupError):
    """No model of this name can be rolled back; the message names those that can."""


class Challenge(Protocol):
    """A fit that may be compared with the champion."""

    model: Contender
    contest: Contest
    features: tuple[str, ...]


@dataclass(frozen=True)
class Competitor:
    """A model with a champion: its name in ``ml.model_runs``, its table, and how it is read."""

    model_name: str
    table: Table
    features: tuple[str, ...]
    read: Callable[[Sequence[str], dict[str, Any]], Contender]

    def load(self, settings: Settings, features: Sequence[str], artifact_path: str) -> Contender:
        """The model of an earlier run.

        Raises:
            ModelRefused: its file is gone, is no such model, or was trained on other features.

        """
        path = settings.home / artifact_path
        return load_model(path, kind=self.model_name, features=features, read=self.read)


def _of(
    table: Table, features: Sequence[str], model: Any, model_name: str | None = None
) -> Competitor:
    return Competitor(model_name or table.name, table, tuple(features), model.from_parts)


# By the name that people give the model.
COMPETITORS = {
    "churn": _of(CHURN_SCORES, churn.FEATURES, ChurnModel),
    "category_propensity": _of(CATEGORY_PROPENSITY, category_propensity.FEATURES, CategoryModel),
    "campaign_responses": _of(CAMPAIGN_RESPONSES, campaign_response.FEATURES, ResponseModel),
    "recommendations": _of(RECOMMENDATIONS, recommendation.FEATURES, RecommendationModel),
} | {
    name: _of(LIFETIME_VALUES, VALUE_FEATURES, ValueModel, name)
    for name in (f"lifetime_value_{days}d" for days in HORIZONS)
}
_BY_MODEL_NAME = {one.model_name: one for one in COMPETITORS.values()}


def runs_of(warehouse: Warehouse, model_name: str) -> pl.DataFrame:
    """The rows of ``ml.model_runs`` for one model."""
    return warehouse.read(
        "select * from ml.model_runs where model_name = $name", {"name": model_name}
    )


def compete(
    settings: Settings, warehouse: Warehouse, run: ModelRun, challenge: Challenge
) -> tuple[Served, Write]:
    """Who serves after this run, and the rows of ``ml.model_runs`` that say so."""
    load = partial(_BY_MODEL_NAME[run.model_name].load, settings, challenge.features)
    runs = runs_of(warehouse, run.model_name)
    served = serve(challenge.model, challenge.contest, run, runs, load)
    return served, Write(MODEL_RUNS, served.runs, matching={"model_name": run.model_name})


def scored_by_champion(
    settings: Settings,
    warehouse: Warehouse,
    model_name: str,
    refusal: ModelRefused,
    score: Callable[[Any], pl.DataFrame],
) -> pl.DataFrame | None:
    """Today's rows by the champion where ``refusal`` says why there is no new model.

    ``score`` asks a model about today. None where there is no champion, or it cannot be asked.
    """
    as_of = warehouse.as_of()
    present = champion.champion_row(runs_of(warehouse, model_name), model_name)
    if not present or isinstance(refusal, RepeatedCustomer):
        return None
    champion_id = present["model_run_id"]
    if present["as_of_date"] > as_of:
        return None  # it knows what was still to come on this day
    model = _BY_MODEL_NAME[model_name]
    try:
        rows = score(model.load(settings, model.features, present["artifact_path"]))
    except ModelRefused as unable:
        dg.get_dagster_logger().warning(f"The champion {champion_id} cannot score today: {unable}")
        return None
    return rows.with_columns(as_of_date=pl.lit(as_of), model_run_id=pl.lit(champion_id))


def roll_back(
    settings: Settings, name: str, *, to: str | None = None, let_go: bool = False
) -> tuple[str, Table]:
    """Name an earlier run champion and pin it, or unpin the champion.

    Returns the champion's id and the table that its scores are in.

    Raises:
        UnknownModelError: no model of that name competes.
        ModelRefused: there is no such run, or its model cannot score today's data.

    """
    if name not in COMPETITORS:
        raise UnknownModelError(
            f"No model {name!r} can be put back; those that can: {', '.join(sorted(COMPETITORS))}."
        )
    model, warehouse = COMPETITORS[name], warehouse_of(settings)
    runs = runs_of(warehouse, model.model_name)
    if let_go:
        runs = champion.let_go(runs, model.model_name)
    else:
        runs = champion.roll_back(runs, model.model_name, to)
    present = champion.champion_row(runs, model.model_name)
    if not present:
        raise NotEnoughHistory(f"No model {name} has been trained yet: run `dsegment run`.")
    model.load(settings, model.features, present["artifact_path"])
    warehouse.write(Write(MODEL_RUNS, runs, matching={"model_name": model.model_name}))
    return present["model_run_id"], model.table
