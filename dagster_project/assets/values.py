"""Features and labels → expected value of every customer, for each horizon that has labels.

What belongs here: which rows are read for it, keeping the model files and their records.
What does not: how value is predicted (``ml/lifetime_value.py``).
"""

from collections.abc import Callable, Iterator

import dagster as dg
import polars as pl

from dagster_project.assets.champions import HORIZONS, compete, scored_by_champion
from dagster_project.assets.model_runs import MODEL_RUNS_KEY, model_spec, outcome, saved_run
from dagster_project.assets.pictures import value_picture
from dagster_project.assets.retention import forget_old
from dagster_project.assets.samples import in_sample
from dagster_project.feature_dictionary import feature_policies
from dagster_project.resources import Warehouse, Write
from dagster_project.settings import Settings
from dagster_project.tables import LIFETIME_VALUES
from ml.errors import ModelRefused
from ml.lifetime_value import FEATURES, LifetimeValueResult
from ml.model_runs import ModelRun
from ml.serving import Served
from ml.value_model import LifetimeValueSettings
from ml.value_rows import KEY, READ

FEATURES_KEY = dg.AssetKey(["marts", "mart_customer_features"])
LABELS_KEY = dg.AssetKey(["marts", "mart_value_labels"])
MOST_TRAINING_ROWS = 150_000
_COLUMNS = ", ".join(dict.fromkeys((*KEY, *READ, *FEATURES)))


def value_asset(
    settings: Settings, currency: str, predict_value: Callable[..., LifetimeValueResult]
) -> dg.AssetsDefinition:
    """``ml.lifetime_values``."""

    @dg.multi_asset(
        name="lifetime_values",
        specs=[model_spec(LIFETIME_VALUES, [FEATURES_KEY, LABELS_KEY])],
        pool="warehouse",
    )
    def value_customers(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        warehouse.require_gates(["marts.mart_customer_features"])
        found, outcomes, refusals, newest = {}, {}, [], _newest(warehouse)
        features, labels = _sampled(warehouse)
        for horizon, predicted in _predictions(features, labels, newest, settings, predict_value):
            if isinstance(predicted, ModelRefused):
                outcomes[f"{horizon} days"] = str(predicted)
                refusals += _refused(settings, warehouse, horizon, predicted, newest)
                context.log.warning(f"Value over {horizon} days not predicted: {predicted}.")
                continue
            found[horizon] = predicted
            judged = predicted.metrics
            context.log.info(
                f"Value over {horizon} days on {predicted.holdout_date}: Spearman "
                f"{judged['model']['spearman']:.3f}, total over actual "
                f"{judged['model']['total_ratio']:.2f}; BG/NBD {judged['floor']['spearman']:.3f}, "
                f"{judged['floor']['total_ratio']:.2f}."
            )
        warehouse.write(*refusals)
        kept = _keep(context, warehouse, settings, newest, found)
        outcomes |= {f"{horizon} days": served.told() for horizon, (_, served) in kept.items()}
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(one.scores.height for one in found.values()),
                "outcomes": dg.MetadataValue.json(outcomes),
                **{
                    f"metrics_{horizon}d": dg.MetadataValue.json(run.metrics)
                    for horizon, (run, _) in kept.items()
                },
                **{
                    f"tenths_{horizon}d": value_picture(one, unit=currency)
                    for horizon, one in found.items()
                },
            }
        )

    return value_customers


def _refused(
    settings: Settings,
    warehouse: Warehouse,
    horizon: int,
    refusal: ModelRefused,
    newest: pl.DataFrame,
) -> list[Write]:
    """Why there is no new model of a horizon, and what its champion says of today."""
    as_of, name = warehouse.as_of(), _name(horizon)
    rows = scored_by_champion(settings, warehouse, name, refusal, lambda model: model.score(newest))
    same_rows = {"as_of_date": as_of, "horizon_days": horizon}
    scored = [] if rows is None else [Write(LIFETIME_VALUES, rows, matching=same_rows)]
    return [outcome(name, as_of, refusal), *scored]


def _name(horizon: int) -> str:
    return f"lifetime_value_{horizon}d"


def _predictions(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    newest: pl.DataFrame,
    settings: Settings,
    predict: Callable[..., LifetimeValueResult],
) -> Iterator[tuple[int, LifetimeValueResult | ModelRefused]]:
    """Each horizon with its result, or with the reason why there is none and the old one stays."""
    policies = feature_policies(settings.project_dir)
    for horizon in HORIZONS:
        try:
            result: LifetimeValueResult | ModelRefused = predict(
                features,
                labels,
                newest=newest,
                policies=policies,
                settings=LifetimeValueSettings(horizon_days=horizon),
            )
        except ModelRefused as refused:
            result = refused
        yield horizon, result


def _sampled(warehouse: Warehouse) -> tuple[pl.DataFrame, pl.DataFrame]:
    chosen = in_sample(warehouse, "marts.mart_customer_features", MOST_TRAINING_ROWS)
    return tuple(
        warehouse.read(f"select {columns} from marts.{mart} where {chosen}")
        for mart, columns in (("mart_customer_features", _COLUMNS), ("mart_value_labels", "*"))
    )


def _newest(warehouse: Warehouse) -> pl.DataFrame:
    return warehouse.read(
        f"select {_COLUMNS} from marts.mart_customer_features where as_of_date = $day "
        "order by customer_id",
        {"day": warehouse.as_of()},
    )


def _keep(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    settings: Settings,
    newest: pl.DataFrame,
    found: dict[int, LifetimeValueResult],
) -> dict[int, tuple[ModelRun, Served]]:
    """Write model files, records and rows of all horizons, the tables in one transaction."""
    kept, writes = {}, []
    for horizon, result in found.items():
        inputs = [FEATURES_KEY, LABELS_KEY]
        run = saved_run(context, settings, _name(horizon), result, result.model, inputs)
        served, runs = compete(settings, warehouse, run, result)
        is_new = served.model is result.model
        scores = result.scores if is_new else served.model.score(newest)
        rows = scores.with_columns(
            as_of_date=pl.lit(result.as_of_date), model_run_id=pl.lit(served.model_run_id)
        )
        same_rows = {"as_of_date": result.as_of_date, "horizon_days": horizon}
        writes += [
            runs,
            Write(LIFETIME_VALUES, rows, matching=same_rows),
            outcome(run.model_name, result.as_of_date),
        ]
        kept[horizon] = run, served
    warehouse.write(*writes)
    for horizon, (run, _) in kept.items():
        only = {"horizon_days": horizon}
        forget_old(settings, warehouse, LIFETIME_VALUES, run.model_name, only)
    if kept:
        context.log_event(dg.AssetMaterialization(asset_key=MODEL_RUNS_KEY))
    return kept
