"""A fitted churn model: what it consists of, how it scores, and what each feature adds.

Here belong applying a model and carrying it in parts. Fitting and judging belong to `ml.churn`,
words for its reasons to `ml.explanation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ml.averaged_pair import AveragedPair
from ml.calibration import calibrated
from ml.churn_segments import Segmentation
from ml.feature_matrix import feature_matrix
from ml.feature_policy import FeaturePolicy, policies_as_parts, policies_from_parts

CHUNK_ROWS = 200_000


@dataclass(frozen=True)
class ChurnModel:
    """A pair of learners, pairs of their own for some segments, and a calibration line.

    `policies` are those it was trained under: an empty value must mean to it what it meant then.
    `twin` is the same method, trained by the day of the holdout and judged there. `trained_on` is
    the digest (`ml.trained_on`) of all customers that either has learned from.
    """

    features: tuple[str, ...]
    policies: Mapping[str, FeaturePolicy]
    pair: AveragedPair
    calibration_slope: float
    calibration_intercept: float
    trained_until: str
    segmentation: Segmentation | None = None
    specialists: Mapping[int, AveragedPair] = field(default_factory=dict)
    trained_on: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    twin: ChurnModel | None = None

    def score(self, frame: pl.DataFrame, chunk_rows: int = CHUNK_ROWS) -> np.ndarray:
        """Return the churn score of every row of `frame`, in its order and in bounded memory."""
        return calibrated(self.log_odds(frame, chunk_rows))

    def log_odds(self, frame: pl.DataFrame, chunk_rows: int = CHUNK_ROWS) -> np.ndarray:
        """Return the log odds of the scores."""
        raw = self.raw_log_odds(frame, chunk_rows)
        return self.calibration_slope * raw + self.calibration_intercept

    def matrix(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the numbers that the model reads of each row."""
        return feature_matrix(frame, self.features, self.policies)

    def raw_log_odds(self, frame: pl.DataFrame, chunk_rows: int = CHUNK_ROWS) -> np.ndarray:
        """Return the log odds before calibration."""
        raw = [self._raw(self.matrix(chunk)) for chunk in frame.iter_slices(chunk_rows)]
        return np.concatenate(raw) if raw else np.empty(0)

    def contributions(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what each row starts from and what each feature adds to the log odds of its score.

        Start and additions of a row sum to `log_odds` of that row.
        """
        begin, added = self.pair.contributions(matrix, self.features)
        start = np.full(len(matrix), begin)
        for rows, pair in self._own(matrix):
            start[rows], added[rows] = pair.contributions(matrix[rows], self.features)
        slope = self.calibration_slope
        return self.calibration_intercept + slope * start, slope * added

    @property
    def unused_features(self) -> list[str]:
        """Features that said nothing in training: they never varied, or copied another one."""
        return [name for name in self.features if name not in self.pair.names]

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {
            "policies": policies_as_parts(self.policies),
            "pair": self.pair.as_parts(),
            "calibration_slope": self.calibration_slope,
            "calibration_intercept": self.calibration_intercept,
            "trained_until": self.trained_until,
            "segmentation": self.segmentation.as_parts() if self.segmentation else None,
            "specialists": {str(key): own.as_parts() for key, own in self.specialists.items()},
            "trained_on": self.trained_on,
            "twin": self.twin.as_parts() if self.twin else None,
        }

    @classmethod
    def from_parts(cls, features: Sequence[str], parts: dict[str, Any]) -> ChurnModel:
        """Rebuild the model from what `ml.artifacts.load` returns."""
        twin, segmentation = parts["twin"], parts["segmentation"]
        return cls(
            features=tuple(features),
            policies=policies_from_parts(parts["policies"]),
            pair=AveragedPair.from_parts(parts["pair"]),
            calibration_slope=parts["calibration_slope"],
            calibration_intercept=parts["calibration_intercept"],
            trained_until=parts["trained_until"],
            segmentation=Segmentation.from_parts(segmentation) if segmentation else None,
            specialists={
                int(key): AveragedPair.from_parts(own) for key, own in parts["specialists"].items()
            },
            trained_on=parts["trained_on"],
            twin=cls.from_parts(features, twin) if twin else None,
        )

    def _raw(self, matrix: np.ndarray) -> np.ndarray:
        odds = self.pair.log_odds(matrix, self.features)
        for rows, pair in self._own(matrix):
            odds[rows] = pair.log_odds(matrix[rows], self.features)
        return odds

    def _own(self, matrix: np.ndarray) -> list[tuple[np.ndarray, AveragedPair]]:
        if self.segmentation is None or not self.specialists:
            return []
        segment = self.segmentation.of(matrix, self.features)
        rows = [(np.flatnonzero(segment == key), own) for key, own in self.specialists.items()]
        return [(inside, own) for inside, own in rows if len(inside)]
