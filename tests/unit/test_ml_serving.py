"""Who serves, for every model that competes: the better one, told of in full, and the way back."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import test_ml_campaign_response as campaigns
import test_ml_category_propensity as categories
import test_ml_churn as churn
import test_ml_lifetime_value as values
import test_ml_recommendation as recommendations

from dagster_project.assets.champions import (
    COMPETITORS,
    Competitor,
    UnknownModelError,
    compete,
    roll_back,
    scored_by_champion,
)
from dagster_project.assets.churn import churn_asset
from dagster_project.resources import Warehouse, warehouse_of
from dagster_project.settings import Settings
from ml import artifacts, lifetime_value
from ml.campaign_response import ResponseSettings
from ml.category_propensity import train_category_propensity
from ml.champion import champion_of
from ml.churn import score_customers, train_and_score
from ml.errors import FeatureListChanged, ModelRefused, NotEnoughHistory, RepeatedCustomer
from ml.model_runs import ModelRun
from ml.recommendation import train_recommender
from ml.recommendation_model import Ranker
from ml.serving import Served, install

Rows = Callable[[Any], pl.DataFrame]


def shuffled(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Say of everybody what happened to somebody else: nothing can be learned from it."""
    return frame.with_columns(pl.col(column).shuffle(seed=1).over("as_of_date"))


def of_churn() -> tuple[Any, Any, Rows]:
    features, labels, _ = churn.simulated()
    fit = partial(churn.train_and_score, features, settings=churn.QUICK)
    newest = features.filter(pl.col("as_of_date") == churn.NEWEST)
    weak = fit(shuffled(labels, "is_churned"))
    return fit(labels), weak, lambda model: score_customers(model, newest)[0]


def of_value() -> tuple[Any, Any, Rows]:
    features, labels = values.mart(values.company(600))
    rest = [name for name in lifetime_value.FEATURES if name not in features.columns]
    features = features.with_columns(pl.lit(0.0).alias(name) for name in rest)
    newest = features.filter(pl.col("as_of_date") == values.NEWEST).sort("customer_id")
    fit = partial(
        lifetime_value.predict_lifetime_value,
        features,
        policies=churn.POLICIES,
        settings=values.QUICK,
    )
    weak = fit(shuffled(labels, "spend_amount"))
    return fit(labels), weak, lambda model: model.score(newest)


def of_categories() -> tuple[Any, Any, Rows]:
    data = categories.company()
    strong = train_category_propensity(**data)
    weak = train_category_propensity(shuffled(data["windows"], "is_bought"), data["features"])
    return strong, weak, lambda model: pl.concat(strong.lists(model))


def of_campaigns() -> tuple[Any, Any, Rows]:
    data = campaigns.company()
    fit = partial(campaigns.trained, settings=ResponseSettings(calibration_folds=2))
    spoilt = data["responses"].with_columns(pl.col("is_redeemed").shuffle(seed=1))
    strong = fit(data)
    return strong, fit(data | {"responses": spoilt}), lambda model: pl.concat(strong.lists(model))


def of_recommendations() -> tuple[Any, Any, Rows]:
    settings = replace(recommendations.SETTINGS, cut_offs=2)
    data = recommendations.company()
    strong = train_recommender(**data, as_of_date=recommendations.TODAY, settings=settings)
    # What sells best to everybody.
    popular = dict.fromkeys(strong.model.rankers, Ranker("popularity", {"popularity": None}, None))
    model = replace(strong.model, rankers=popular)
    model = replace(model, twin=replace(strong.model.twin, rankers=popular))
    return strong, replace(strong, model=model), lambda model: pl.concat(strong.lists(model))


MAKERS = {
    "churn": of_churn,
    "lifetime_value_28d": of_value,
    "category_propensity": of_categories,
    "campaign_responses": of_campaigns,
    "recommendations": of_recommendations,
}


@dataclass(frozen=True)
class Trial:
    """A model of one kind in a warehouse of its own, well trained and badly trained."""

    settings: Settings
    name: str
    strong: Any
    weak: Any
    rows: Rows

    @property
    def kind(self) -> Competitor:
        return COMPETITORS[self.name]

    @property
    def warehouse(self) -> Warehouse:
        return warehouse_of(self.settings)

    @property
    def runs(self) -> pl.DataFrame:
        return self.warehouse.read("ml.model_runs")

    def publish(self, run_id: str, result: Any, features: Sequence[str] | None = None) -> Served:
        """Save a model as the run `run_id` and let it compete on what really happened."""
        name, features = self.kind.model_name, features or result.features
        path = f"models/{name}/{run_id}.skops"
        artifacts.save(
            self.settings.home / path, kind=name, features=features, parts=result.model.as_parts()
        )
        run = ModelRun(run_id, name, result.as_of_date, "", features, {}, {}, path)
        challenge = replace(result, contest=self.strong.contest)
        served, write = compete(self.settings, self.warehouse, run, challenge)
        self.warehouse.write(write)
        return served


@pytest.fixture(scope="module")
def trained() -> Callable[[str], tuple[Any, Any, Rows]]:
    made: dict[str, tuple[Any, Any, Rows]] = {}

    def once(name: str) -> tuple[Any, Any, Rows]:
        if name not in made:
            made[name] = MAKERS[name]()
        return made[name]

    return once


@pytest.fixture(params=MAKERS)
def trial(request: pytest.FixtureRequest, trained: Callable, tmp_path: Path) -> Trial:
    settings = Settings(home=tmp_path)
    warehouse_of(settings).ensure_tables()
    return Trial(settings, request.param, *trained(request.param))


def test_a_worse_challenger_leaves_the_champion_serving_and_both_are_told_of(trial: Trial) -> None:
    good = trial.rows(trial.strong.model)
    first = trial.publish("first", trial.strong)
    assert (first.model_run_id, first.decision.reason) == ("first", "there is no champion yet")
    assert trial.rows(first.model).equals(good)

    second = trial.publish("second", trial.weak)
    assert (second.model_run_id, second.decision.outcome) == ("first", "kept")
    assert trial.rows(second.model).equals(good)
    assert not trial.rows(trial.weak.model).equals(good)
    fate = trial.runs.sort("model_run_id").select("model_run_id", "is_champion", "decision").rows()
    assert [row[:2] for row in fate] == [("first", True), ("second", False)]
    assert fate[1][2].startswith("not better beyond noise: gain in ")

    again = trial.publish("second", trial.weak)
    assert (again.model_run_id, trial.runs.height) == ("first", 2)


def test_a_better_one_takes_over_and_the_way_back_serves_the_older_scores(trial: Trial) -> None:
    old = trial.rows(trial.weak.model)
    trial.publish("old", trial.weak)
    taken = trial.publish("new", trial.strong)
    assert (taken.model_run_id, taken.decision.outcome) == ("new", "promoted")

    assert roll_back(trial.settings, trial.name) == ("old", trial.kind.table)
    back = trial.publish("new", trial.strong)
    assert (back.model_run_id, back.decision.outcome) == ("old", "pinned")
    assert trial.rows(back.model).equals(old)
    assert roll_back(trial.settings, trial.name, let_go=True) == ("old", trial.kind.table)
    assert trial.publish("new", trial.strong).model_run_id == "new"


def test_a_model_of_an_older_feature_list_is_refused_by_name(trial: Trial) -> None:
    newest = trial.strong.features[-1]
    trial.publish("old", trial.strong, features=trial.strong.features[:-1])
    served = trial.publish("new", trial.weak)
    assert served.model_run_id == "new"  # else nobody would be scored
    assert "the champion cannot score today's data: old.skops" in served.decision.reason
    assert f"unknown to it: {newest}. Train it again" in served.decision.reason
    with pytest.raises(FeatureListChanged, match=f"unknown to it: {newest}"):
        roll_back(trial.settings, trial.name)
    assert champion_of(trial.runs, trial.kind.model_name) == "new"


def test_a_day_before_the_champions_is_scored_by_a_model_that_knows_no_more(
    trained: Callable, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path)
    warehouse_of(settings).ensure_tables()
    trial = Trial(settings, "churn", *trained("churn"))
    trial.publish("today", trial.strong)
    past = replace(trial.weak, as_of_date=trial.strong.as_of_date - dt.timedelta(28))
    served = trial.publish("past", past)
    assert (served.model_run_id, served.decision.outcome) == ("past", "replayed")
    assert champion_of(trial.runs, "churn_scores") == "today"


def test_what_is_fitted_for_a_past_day_leaves_the_clusters_of_today(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    warehouse_of(settings).ensure_tables()
    runs = warehouse_of(settings).read("from ml.model_runs")
    ran: dict[str | None, int] = {}
    for day, expected in ((20, 20), (6, 20), (27, 27)):
        run = ModelRun.of(
            model_name="clusters",
            as_of_date=dt.date(2017, 12, day),
            data_version="data",
            features=("spend_amount_90d",),
            parameters={"k": 4},
            metrics={"stability": 0.9},
            code_version="code",
        )
        ran[run.model_run_id] = day
        runs = install(run, runs, "no clusters were kept")
        assert ran[champion_of(runs, "clusters")] == expected


def on_day(trial: Trial, day: dt.date) -> Callable[[ModelRefused], pl.DataFrame | None]:
    """What the champion says on a day on which no new model could be fitted, for a reason."""
    with trial.warehouse.connect() as connection:
        connection.execute("create schema if not exists raw")
        connection.execute(
            f"create or replace table raw.as_of as select date '{day}' as as_of_date"
        )
    name = trial.kind.model_name
    return lambda reason: scored_by_champion(
        trial.settings, trial.warehouse, name, reason, trial.rows
    )


def test_where_no_new_model_could_be_fitted_the_champion_scores_the_day(trial: Trial) -> None:
    refusal, day = NotEnoughHistory("too little"), trial.strong.as_of_date
    assert on_day(trial, day)(refusal) is None  # nobody serves yet
    trial.publish("first", trial.strong)
    rows = on_day(trial, day)(refusal)
    assert rows.drop("as_of_date", "model_run_id").equals(trial.rows(trial.strong.model))
    assert rows.select("as_of_date", "model_run_id").unique().rows() == [(day, "first")]
    assert on_day(trial, day)(RepeatedCustomer("twice")) is None
    assert on_day(trial, day - dt.timedelta(1))(refusal) is None  # it knows the day after
    (trial.settings.home / f"models/{trial.kind.model_name}/first.skops").unlink()
    assert on_day(trial, day)(refusal) is None


def test_a_day_without_a_new_churn_model_is_scored_and_the_refusal_told(
    trained: Callable, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path)
    warehouse = warehouse_of(settings)
    warehouse.ensure_tables()
    trial = Trial(settings, "churn", *trained("churn"))
    trial.publish("first", trial.strong)
    on_day(trial, churn.NEWEST)
    features, labels, _ = churn.simulated()
    with warehouse.connect() as connection:
        connection.execute("create schema marts")
        connection.register("features", features)
        connection.register("labels", labels)
        connection.execute("create table marts.mart_customer_features as from features")
        connection.execute("create table marts.mart_churn_labels as from labels limit 0")
    asset = churn_asset(settings, train_and_score)
    run = dg.materialize([asset], resources={"warehouse": warehouse})

    (event,) = run.asset_materializations_for_node("churn_scores")[-1:]
    assert event.metadata["refused"].value.startswith("not enough history")
    assert warehouse.read("ml.model_refusals").height == 1
    said = warehouse.read("from ml.churn_scores order by customer_id")
    expected = trial.rows(trial.strong.model).sort("customer_id")
    assert said.select(expected.columns).equals(expected)
    assert event.metadata["dagster/row_count"].value == expected.height


def test_only_models_with_a_champion_can_be_rolled_back(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"No model 'clusters' can be put back; .* churn, "):
        roll_back(Settings(home=tmp_path), "clusters")
