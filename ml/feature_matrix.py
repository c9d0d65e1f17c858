"""From a frame of features to the numbers that a model reads.

Here belong the scaling by the written policy (`ml.feature_policy`) and the refusal of what is not a
number. Which features a model reads is the model's business, filling empty values the policy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ml.errors import BadFeature
from ml.feature_policy import FeaturePolicy, filled


def feature_matrix(
    frame: pl.DataFrame, names: Sequence[str], policies: Mapping[str, FeaturePolicy]
) -> np.ndarray:
    """Return one column of finite floats a name: filled, and log-scaled where the policy says so.

    The logarithm keeps the sign, as returns can outweigh purchases.

    Raises:
        BadFeature: a column is absent, is no number, or is empty, NaN or infinite where no policy
            covers it.

    """
    words = [
        f"{name} is {frame.schema[name]}"
        for name in names
        if name in frame.columns and not _is_number(frame.schema[name])
    ]
    if words:
        raise BadFeature(f"not a number: {', '.join(words)}")
    ready = filled(frame, names, policies)
    values = ready.select(pl.col(name).cast(pl.Float64) for name in names).to_numpy()
    # Made anew: what polars hands out may not be written to.
    values = np.array(values, order="F")
    for place, name in enumerate(names):
        if policies[name].outliers == "log":
            column = values[:, place]
            values[:, place] = np.sign(column) * np.log1p(np.abs(column))
    return values


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)
