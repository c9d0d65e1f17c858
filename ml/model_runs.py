"""One row of `ml.model_runs`: what was trained, on which data, and how well it does.

Here belong the record, its deterministic identifier and the rounding of figures for it. Training
belongs to the model's own module, writing the row to the wiring.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DIGITS = 6


def as_figures(value: Any, digits: int = DIGITS) -> Any:
    """Turn a figure, or any nesting of figures, into plain JSON values with rounded floats.

    What is not a finite number becomes null: JSON has no NaN, and readers in other languages
    refuse the one that Python writes.
    """
    if isinstance(value, Mapping):
        return {str(key): as_figures(item, digits) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return as_figures(value.tolist(), digits)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [as_figures(item, digits) for item in value]
    if isinstance(value, np.generic):
        return as_figures(value.item(), digits)
    if isinstance(value, float):
        return round(value, digits) + 0.0 if math.isfinite(value) else None
    if isinstance(value, dt.date):
        return value.isoformat()
    return value


def as_json(value: Any) -> str:
    """Canonical JSON: the same content is the same text, so that it can be hashed and compared."""
    return json.dumps(as_figures(value), sort_keys=True, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class ModelRun:
    """One row per training of a model; make it with `ModelRun.of`."""

    model_run_id: str
    model_name: str
    as_of_date: dt.date
    data_version: str
    features: tuple[str, ...]
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    artifact_path: str | None = None

    @classmethod
    def of(
        cls,
        *,
        model_name: str,
        as_of_date: dt.date,
        data_version: str,
        features: Sequence[str],
        parameters: Mapping[str, Any],
        metrics: Mapping[str, Any],
        code_version: str,
        artifact_path: str | None = None,
    ) -> ModelRun:
        """Make the record; the same inputs give the same identifier on any day and machine."""
        return cls(
            model_run_id=model_run_id(
                model_name=model_name,
                as_of_date=as_of_date,
                data_version=data_version,
                features=features,
                parameters=parameters,
                code_version=code_version,
            ),
            model_name=model_name,
            as_of_date=as_of_date,
            data_version=data_version,
            features=tuple(features),
            parameters=as_figures(parameters),
            metrics=as_figures(metrics),
            artifact_path=artifact_path,
        )

    def as_row(self) -> dict[str, Any]:
        """Return the columns of `ml.model_runs`, with the JSON columns as text."""
        row = asdict(self)
        for column in ("features", "parameters", "metrics"):
            row[column] = as_json(row[column])
        return row


def model_run_id(
    *,
    model_name: str,
    as_of_date: dt.date,
    data_version: str,
    features: Sequence[str],
    parameters: Mapping[str, Any],
    code_version: str,
) -> str:
    """Identify a run by all that can change its outcome, and by nothing else (no clock)."""
    ingredients = as_json(
        [model_name, as_of_date, data_version, list(features), parameters, code_version]
    )
    return hashlib.sha256(ingredients.encode()).hexdigest()[:16]
