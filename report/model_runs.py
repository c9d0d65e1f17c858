"""What a model that serves tells of itself.

Belongs here: finding its metrics. Does not belong here: what they are called (the sections).
"""

import json
from typing import Any

import polars as pl


def champion_metrics(model_runs: pl.DataFrame, model_name: str) -> dict[str, Any] | None:
    """Read the metrics of the run that serves; None when none does."""
    runs = model_runs.filter((pl.col("model_name") == model_name) & pl.col("is_champion"))
    return json.loads(runs["metrics"][0]) if runs.height else None
