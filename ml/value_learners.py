"""What is fitted to past values: a line and a hurdle, blended.

Here belong the learners and their blend. The rows that they read belong to
`ml.value_rows`, which rows may be read to `ml.lifetime_value`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

LEARNERS = ("line", "hurdle")


@dataclass(frozen=True)
class LearnerSettings:
    """How the learners are fitted."""

    boosting_rounds: int = 150
    boosting_learning_rate: float = 0.05
    boosting_leaves: int = 8
    boosting_leaf_rows: int = 100
    boosting_feature_share: float = 0.3
    boosting_penalty: float = 5.0
    inverse_penalty: float = 0.1
    line_penalty: float = 0.01


@dataclass(frozen=True)
class Line:
    """Standardised inputs times weights; a power law in the features, as these are logarithms."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float
    lowest: float
    highest: float

    @classmethod
    def of_counts(cls, matrix: np.ndarray, target: np.ndarray, penalty: float) -> Line:
        """Fit the logarithm of the mean of what is never below zero."""
        from sklearn.linear_model import PoissonRegressor

        unit = float(target.mean())
        fit = PoissonRegressor(alpha=penalty, solver="newton-cholesky", max_iter=300)
        return cls._fitted(matrix, lambda inputs: fit.fit(inputs, target / unit), np.log(unit))

    @classmethod
    def of_odds(cls, matrix: np.ndarray, outcome: np.ndarray, inverse_penalty: float) -> Line:
        """Fit the logarithm of the odds of a yes."""
        from sklearn.linear_model import LogisticRegression

        fit = LogisticRegression(C=inverse_penalty, max_iter=1000)
        return cls._fitted(matrix, lambda inputs: fit.fit(inputs, outcome), 0.0)

    @classmethod
    def _fitted(cls, matrix: np.ndarray, fit: Any, shift: float) -> Line:
        mean, spread = matrix.mean(axis=0), matrix.std(axis=0)
        scale = np.where(spread > 1e-12, spread, 1.0)
        inputs = (matrix - mean) / scale
        model = fit(inputs)
        weights = np.ravel(model.coef_)
        reached = inputs @ weights
        intercept = float(np.ravel(model.intercept_)[0] + shift)
        return cls(mean, scale, weights, intercept, float(reached.min()), float(reached.max()))

    def of(self, matrix: np.ndarray) -> np.ndarray:
        """Return the sum for each row, kept to what was seen in training."""
        inputs = (matrix - self.mean) / self.scale
        # An exponential beyond the data would give one customer the value of a whole town.
        return np.clip(inputs @ self.weights, self.lowest, self.highest) + self.intercept


@dataclass(frozen=True)
class Learners:
    """A power law and a hurdle, right on average under Poisson deviance; their blend is the mean.

    The hurdle is the chance to buy at all (a line and a boosting averaged) times the value if so,
    a boosting. That can give nobody more than the mean of its highest leaf; the power law can, and
    the few largest customers are most of the error.
    """

    line: Line
    chance_line: Line | None
    chance_boosting: Any
    value_if_bought: Any

    @classmethod
    def fit(
        cls, matrix: np.ndarray, value: np.ndarray, settings: LearnerSettings, seed: int
    ) -> Learners:
        """Fit to values of at least zero, of which some are above."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        trees = {
            "max_iter": settings.boosting_rounds,
            "learning_rate": settings.boosting_learning_rate,
            "max_leaf_nodes": settings.boosting_leaves,
            "min_samples_leaf": settings.boosting_leaf_rows,
            "max_features": settings.boosting_feature_share,
            "l2_regularization": settings.boosting_penalty,
            "early_stopping": False,
            "random_state": seed,
        }
        bought = value > 0
        chance_line = chance_boosting = None
        if not bought.all():
            chance_line = Line.of_odds(matrix, bought, settings.inverse_penalty)
            chance_boosting = HistGradientBoostingClassifier(**trees).fit(matrix, bought)
        return cls(
            line=Line.of_counts(matrix, value, settings.line_penalty),
            chance_line=chance_line,
            chance_boosting=chance_boosting,
            value_if_bought=HistGradientBoostingRegressor(loss="poisson", **trees).fit(
                matrix[bought], value[bought]
            ),
        )

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return one column a learner."""
        chance = 1.0
        if self.chance_line is not None:
            odds = self.chance_line.of(matrix)
            likely = self.chance_boosting.predict_proba(matrix)[:, 1]
            chance = (1 / (1 + np.exp(-odds)) + likely) / 2
        value = chance * self.value_if_bought.predict(matrix)
        return np.column_stack([np.exp(self.line.of(matrix)), value])

    def as_parts(self) -> dict[str, Any]:
        """Return plain numbers and fitted trees."""
        lines = {name: getattr(self, name) for name in ("line", "chance_line")}
        trees = ("chance_boosting", "value_if_bought")
        return {name: line and asdict(line) for name, line in lines.items()} | {
            name: getattr(self, name) for name in trees
        }

    @classmethod
    def from_parts(cls, parts: dict[str, Any]) -> Learners:
        """Rebuild them."""
        lines = {name: parts[name] and Line(**parts[name]) for name in ("line", "chance_line")}
        return cls(**(parts | lines))
