"""Two learners of a yes or no, averaged in log odds: a logistic and a shallow gradient boosting.

Here belong fitting them and taking a score apart into what each feature adds. The logistic finds
what holds throughout, the trees what only matters together; they err differently, so their mean is
better than either. It is taken in log odds, since only there it stays a sum over features.

A value below all that were seen in training counts as the lowest of them. In a young company no
year is over yet, so everybody has an order in the last 365 days; on the first day that somebody has
none, the line would be carried on over a gap that a logarithm makes wide. Upwards it goes on: who
has been away for longer than anybody before is still likelier to be gone.

The logistic is kept as plain numbers; the trees are scikit-learn's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.errors import CustomersAlike
from ml.threads import one_thread


@dataclass(frozen=True)
class PairSettings:
    """What may be tuned in the two learners."""

    inverse_penalty: float = 0.1
    boosting_rounds: int = 100
    boosting_learning_rate: float = 0.05
    boosting_leaves: int = 8
    boosting_leaf_rows: int = 100
    boosting_feature_share: float = 0.3
    boosting_penalty: float = 5.0


@dataclass(frozen=True)
class AveragedPair:
    """A fitted pair; `names` are those of the offered features that tell something."""

    names: tuple[str, ...]
    lows: np.ndarray
    means: np.ndarray
    weights: np.ndarray
    intercept: float
    boosting: Any

    @classmethod
    def fit(
        cls,
        matrix: np.ndarray,
        outcome: np.ndarray,
        names: Sequence[str],
        settings: PairSettings,
        seed: int,
    ) -> AveragedPair:
        """Fit both learners on the columns that vary and are no copy of an earlier one.

        A copy says nothing, and would share what the first one says. There are some where a value
        that is empty for everybody is stood in for by another column.

        Raises:
            CustomersAlike: no column varies.

        """
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression

        telling = _telling(matrix)
        if not telling:
            raise CustomersAlike(f"all {len(matrix)} rows are alike in every one of the features")
        used = np.ascontiguousarray(matrix[:, telling])
        with one_thread():
            means, scales = used.mean(axis=0), used.std(axis=0)
            # Values that differ only in their last digits have a deviation of nothing but rounding.
            scales[scales <= 1e-9 * np.maximum(np.abs(means), 1)] = np.inf
            logistic = LogisticRegression(C=settings.inverse_penalty, max_iter=1000).fit(
                (used - means) / scales, outcome
            )
            boosting = HistGradientBoostingClassifier(
                max_iter=settings.boosting_rounds,
                learning_rate=settings.boosting_learning_rate,
                max_leaf_nodes=settings.boosting_leaves,
                min_samples_leaf=settings.boosting_leaf_rows,
                max_features=settings.boosting_feature_share,
                l2_regularization=settings.boosting_penalty,
                early_stopping=False,
                random_state=seed,
            ).fit(used, outcome)
        return cls(
            names=tuple(names[place] for place in telling),
            lows=used.min(axis=0),
            means=means,
            weights=logistic.coef_[0] / scales,
            intercept=float(logistic.intercept_[0]),
            boosting=boosting,
        )

    def log_odds(self, matrix: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Return the log odds of every row; `names` are the columns of `matrix`."""
        if not len(matrix):
            return np.empty(0)
        used = self._used(matrix, names)
        with one_thread():
            linear = (used - self.means) @ self.weights + self.intercept
            return (linear + self.boosting.decision_function(used)) / 2

    def contributions(self, matrix: np.ndarray, names: Sequence[str]) -> tuple[float, np.ndarray]:
        """Return what a row starts from and what each column of `matrix` adds to its log odds.

        Start and additions sum to `log_odds` exactly: coefficients times distance from the mean
        for the logistic, Shapley values of the trees (over the rows they were grown from) for the
        boosting. A column that the pair does not read adds nothing.
        """
        if not len(matrix):
            return 0.0, np.zeros(matrix.shape)
        used = self._used(matrix, names)
        start, trees = _shapley_values(self.boosting, used)
        added = np.zeros(matrix.shape)
        added[:, self._places(names)] = ((used - self.means) * self.weights + trees) / 2
        return (self.intercept + start) / 2, added

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {
            "names": list(self.names),
            "lows": self.lows,
            "means": self.means,
            "weights": self.weights,
            "intercept": self.intercept,
            "boosting": self.boosting,
        }

    @classmethod
    def from_parts(cls, parts: dict[str, Any]) -> AveragedPair:
        """Rebuild the pair from its parts."""
        return cls(**{**parts, "names": tuple(parts["names"])})

    def _places(self, names: Sequence[str]) -> list[int]:
        place = {name: number for number, name in enumerate(names)}
        return [place[name] for name in self.names]

    def _used(self, matrix: np.ndarray, names: Sequence[str]) -> np.ndarray:
        return np.maximum(matrix[:, self._places(names)], self.lows)


def _telling(matrix: np.ndarray) -> list[int]:
    first: dict[bytes, int] = {}
    for place in np.flatnonzero(np.ptp(matrix, axis=0) > 0):
        column = np.ascontiguousarray(matrix[:, place])
        first.setdefault(hashlib.blake2b(column).digest(), int(place))
    return sorted(first.values())


def _shapley_values(boosting: Any, matrix: np.ndarray) -> tuple[float, np.ndarray]:
    # Imported here: it takes a second and 100 MB, and only who explains has to pay for it.
    import shap

    explainer = shap.TreeExplainer(boosting)
    with one_thread():
        values = explainer.shap_values(matrix, check_additivity=False)
    return float(np.ravel(explainer.expected_value)[0]), values
