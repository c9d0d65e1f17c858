"""The models of a refresh without orchestration: marts → `ml` → tables, in the order of the graph.

What belongs here: what the assets of the schema `ml` do, on one connection and without Dagster.
What does not: the rest of the bare work (`bare`), and any way of fitting (`ml`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from dagster_project.settings import Settings
from dagster_project.tables import (
    CAMPAIGN_RESPONSES,
    CATEGORY_PROPENSITY,
    CHURN_SCORES,
    CLUSTER_ASSIGNMENTS,
    LIFETIME_VALUES,
    MODEL_RUNS,
    RECOMMENDATIONS,
    Table,
)

if TYPE_CHECKING:
    from ml.feature_policy import FeaturePolicy
    from ml.model_runs import ModelRun
    from ml.serving import Served

HORIZONS = (28, 90, 365)


@dataclass(frozen=True)
class BareModels:
    """Every model once, for the day of the warehouse."""

    settings: Settings
    connection: duckdb.DuckDBPyConnection
    data_versions: Mapping[str, str]
    code_version: str

    def make(self, step: Callable[[str], AbstractContextManager[None]]) -> None:
        """Fit or apply each model and publish what it says."""
        for name, work in {
            "campaign_responses": self._score_responses,
            "category_propensity": self._score_departments,
            "churn_scores": self._score_churn,
            "cluster_assignments": self._assign_clusters,
            "lifetime_values": self._value_customers,
            "recommendations": self._recommend,
        }.items():
            with step(name):
                work()

    def _score_churn(self) -> None:
        from ml.churn import FEATURES, score_customers, train_and_score
        from ml.churn_model import ChurnModel
        from ml.feature_policy import needed_policies

        policies = self._policies()
        names = ", ".join(("customer_id", "as_of_date", *needed_policies(policies, FEATURES)))
        features = self._read(f"select {names} from marts.mart_customer_features")
        labels = self._read("from marts.mart_churn_labels")
        result = train_and_score(features, labels, policies=policies)
        served = self._served(CHURN_SCORES.name, result, ChurnModel)
        scores = result.scores
        if served.model is not result.model:
            newest = features.filter(pl.col("as_of_date") == result.as_of_date)
            scores, _ = score_customers(served.model, newest)
        self._publish(CHURN_SCORES, served.model_run_id, [scores])

    def _assign_clusters(self) -> None:
        """Assign to the clusters that are kept; a warm refresh fits none."""
        from ml.cluster_candidates import FEATURES, ClusterSettings
        from ml.cluster_model import ClusterModel
        from ml.cluster_upkeep import upkeep
        from ml.clustering import cluster_customers, columns_read

        policies, choice = self._policies(), ClusterSettings()
        columns = ", ".join(columns_read(policies))
        today = self._read(
            f"select customer_id, as_of_date, {columns} from marts.mart_customer_features "
            "where as_of_date = $day",
            day=self._as_of(),
        )
        run = self._runs_of(CLUSTER_ASSIGNMENTS.name).filter("is_champion").row(0, named=True)
        kept = ClusterModel.from_parts(self._loaded(run["artifact_path"], FEATURES))
        need = upkeep(kept, today, policies, choice, is_asked=False)
        result = cluster_customers(
            today, policies=policies, kept=kept, need=need, settings=choice, history=None
        )
        self._publish(CLUSTER_ASSIGNMENTS, run["model_run_id"], [result.assignments])

    def _value_customers(self) -> None:
        from ml.errors import ModelRefused
        from ml.lifetime_value import FEATURES, predict_lifetime_value
        from ml.value_model import LifetimeValueSettings, ValueModel
        from ml.value_rows import KEY, READ

        names = ", ".join(dict.fromkeys((*KEY, *READ, *FEATURES)))
        features = self._read(f"select {names} from marts.mart_customer_features")
        labels = self._read("from marts.mart_value_labels")
        newest = features.filter(pl.col("as_of_date") == self._as_of()).sort("customer_id")
        for horizon in HORIZONS:
            settings = LifetimeValueSettings(horizon_days=horizon)
            try:
                result = predict_lifetime_value(
                    features, labels, newest=newest, policies=self._policies(), settings=settings
                )
            except ModelRefused:
                continue  # as the asset: the other horizons are published
            served = self._served(f"lifetime_value_{horizon}d", result, ValueModel)
            is_new = served.model is result.model
            scores = result.scores if is_new else served.model.score(newest)
            rows = {"as_of_date": result.as_of_date, "horizon_days": horizon}
            self._publish(LIFETIME_VALUES, served.model_run_id, [scores], rows)

    def _recommend(self) -> None:
        from ml.recommendation import train_recommender
        from ml.recommendation_model import RecommendationModel

        result = train_recommender(
            purchases=self._read(
                "select customer_number, product_number, order_date "
                "from marts.mart_product_purchases"
            ),
            customers=self._read("select customer_id from core.dim_customers order by all"),
            products=self._read(
                "select product_id, department, category, product_type from core.dim_products "
                "order by product_id"
            ),
            as_of_date=self._as_of(),
        )
        self._publish_lists(RECOMMENDATIONS, result, RecommendationModel)

    def _score_departments(self) -> None:
        from ml.category_propensity import (
            CUSTOMER_FACTS,
            CategoryModel,
            train_category_propensity,
        )

        names = ", ".join(("customer_id", "as_of_date", *CUSTOMER_FACTS))
        result = train_category_propensity(
            windows=self._read("from marts.mart_department_windows"),
            features=self._read(f"select {names} from marts.mart_customer_features"),
        )
        self._publish_lists(CATEGORY_PROPENSITY, result, CategoryModel)

    def _score_responses(self) -> None:
        from ml.campaign_response import ResponseModel, train_campaign_response
        from ml.campaign_rows import CUSTOMER_FACTS

        names = ", ".join(("customer_id", "as_of_date", *CUSTOMER_FACTS))
        result = train_campaign_response(
            self._read("from marts.mart_campaign_responses"),
            self._read(f"select {names} from marts.mart_customer_features"),
            policies=self._policies(),
        )
        self._publish_lists(CAMPAIGN_RESPONSES, result, ResponseModel)

    def _policies(self) -> "Mapping[str, FeaturePolicy]":
        import yaml

        from ml.feature_policy import read_policies

        written = (self.settings.project_dir / "features.yml").read_text(encoding="utf-8")
        return read_policies(yaml.safe_load(written))

    def _as_of(self) -> date:
        return self._read("from raw.as_of")["as_of_date"].item()

    def _read(self, query: str, **parameters: object) -> pl.DataFrame:
        return self.connection.sql(query, params=parameters).pl()

    def _runs_of(self, model_name: str) -> pl.DataFrame:
        return self._read("select * from ml.model_runs where model_name = $name", name=model_name)

    def _loaded(self, path: str, features: Sequence[str]) -> dict[str, Any]:
        from ml.artifacts import load

        file = self.settings.home / path
        return load(file, kind=file.parent.name, features=features)

    def _saved(self, model_name: str, result: Any, model: Any) -> "ModelRun":
        from ml.artifacts import save
        from ml.model_runs import ModelRun

        run = ModelRun.of(
            model_name=model_name,
            as_of_date=result.as_of_date,
            data_version=self.data_versions[model_name],
            features=result.features,
            parameters=result.parameters,
            metrics=result.metrics,
            code_version=self.code_version,
        )
        run = replace(run, artifact_path=f"models/{model_name}/{run.model_run_id}.skops")
        file = self.settings.home / run.artifact_path
        save(file, kind=model_name, features=result.features, parts=model.as_parts())
        return run

    def _served(self, model_name: str, result: Any, model: Any) -> "Served":
        """Let the new model compete with the champion; `model` is the class of both."""
        from ml.artifacts import load_model
        from ml.serving import serve

        def champion(path: str) -> Any:
            return load_model(
                self.settings.home / path,
                kind=model_name,
                features=result.features,
                read=model.from_parts,
            )

        run = self._saved(model_name, result, result.model)
        served = serve(result.model, result.contest, run, self._runs_of(model_name), champion)
        replace_rows(self.connection, MODEL_RUNS, [served.runs], {"model_name": model_name})
        return served

    def _publish_lists(self, table: Table, result: Any, model: Any) -> None:
        served = self._served(table.name, result, model)
        self._publish(table, served.model_run_id, result.lists(served.model))

    def _publish(
        self,
        table: Table,
        run_id: str,
        parts: Iterable[pl.DataFrame],
        matching: Mapping[str, object] | None = None,
    ) -> None:
        day = self._as_of()
        rows: Iterator[pl.DataFrame] = (
            part.with_columns(as_of_date=pl.lit(day), model_run_id=pl.lit(run_id)) for part in parts
        )
        replace_rows(self.connection, table, rows, matching or {"as_of_date": day})


def replace_rows(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    parts: Iterable[pl.DataFrame],
    matching: Mapping[str, object],
) -> None:
    """Put rows in the place of those where `matching` holds (of all, when it is empty)."""
    condition = " and ".join(f'"{name}" = ?' for name in matching) or "true"
    connection.execute("begin")
    connection.execute(f"delete from {table.qualified} where {condition}", [*matching.values()])
    for part in parts:
        connection.register("incoming", part.select([column.name for column in table.columns]))
        connection.execute(f"insert into {table.qualified} from incoming")
        connection.unregister("incoming")
    connection.execute("commit")
