"""What is fitted to past values: a power law, a hurdle and a sum of amounts, blended.

Here belong the learners and their blend. The rows that they read belong to
`ml.value_rows`, which rows may be read to `ml.lifetime_value`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml.calibration import calibrated

LEARNERS = ("line", "hurdle", "sum")
# Between counts (1) and amounts that nobody withholds (2): many small purchases of varying amount
# (Jørgensen and Paes De Souza, 1994). Their spread grows faster than their mean, so that a few
# large customers may not bend a fit that all of the others agree on.
TWEEDIE_POWER = 1.5
LEAST_SHARE = 0.1  # of the mean, so that who is expected to bring nothing has a finite weight


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
        return cls._of_power(matrix, target, penalty, 1)

    @classmethod
    def of_amounts(cls, matrix: np.ndarray, target: np.ndarray, penalty: float) -> Line:
        """Fit the logarithm of the mean of sums of money, of which many are nothing."""
        return cls._of_power(matrix, target, penalty, TWEEDIE_POWER)

    @classmethod
    def of_odds(cls, matrix: np.ndarray, outcome: np.ndarray, inverse_penalty: float) -> Line:
        """Fit the logarithm of the odds of a yes."""
        from sklearn.linear_model import LogisticRegression

        fit = LogisticRegression(C=inverse_penalty, max_iter=1000)
        return cls._fitted(matrix, lambda inputs: fit.fit(inputs, outcome), 0.0)

    @classmethod
    def _of_power(
        cls, matrix: np.ndarray, target: np.ndarray, penalty: float, power: float
    ) -> Line:
        from sklearn.linear_model import TweedieRegressor

        unit = float(target.mean())
        fit = TweedieRegressor(
            power=power, alpha=penalty, link="log", solver="newton-cholesky", max_iter=300
        )
        return cls._fitted(matrix, lambda inputs: fit.fit(inputs, target / unit), np.log(unit))

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
class AmountSum:
    """Past amounts, each at a rate of its own that is never below zero, and a constant."""

    rates: np.ndarray
    constant: float

    @classmethod
    def fit(cls, amounts: np.ndarray, target: np.ndarray) -> AmountSum:
        """Fit by least squares, weighted as a Tweedie whose mean is the last of the amounts."""
        from scipy.optimize import nnls

        usual = amounts[:, -1] + LEAST_SHARE * target.mean()
        weight = (usual / target.mean()) ** (-TWEEDIE_POWER / 2)
        inputs = np.column_stack([amounts, np.ones(len(amounts))]) * weight[:, None]
        unit = np.sqrt((inputs**2).mean(axis=0))
        unit[unit == 0] = 1.0
        rates = nnls(inputs / unit, target * weight)[0] / unit
        return cls(rates[:-1], float(rates[-1]))

    def of(self, amounts: np.ndarray) -> np.ndarray:
        """Return the sum for each row."""
        return amounts @ self.rates + self.constant


@dataclass(frozen=True)
class Learners:
    """A power law, a hurdle and a sum of amounts; their blend is the mean.

    The hurdle is the chance to buy at all (a line and a boosting averaged) times the value if so,
    a boosting. That can give nobody more than the mean of its highest leaf; the others can, and
    the few largest customers are most of the error. The sum is the calmest of them: it moves in
    proportion to what a customer spent lately and to what the floor expects of it.
    """

    line: Line
    chance_line: Line | None
    chance_boosting: Any
    value_if_bought: Any
    amount_sum: AmountSum

    @classmethod
    def fit(
        cls,
        matrix: np.ndarray,
        amounts: np.ndarray,
        value: np.ndarray,
        settings: LearnerSettings,
        seed: int,
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
            line=Line.of_amounts(matrix, value, settings.line_penalty),
            chance_line=chance_line,
            chance_boosting=chance_boosting,
            value_if_bought=HistGradientBoostingRegressor(loss="poisson", **trees).fit(
                matrix[bought], value[bought]
            ),
            amount_sum=AmountSum.fit(amounts, value),
        )

    def predict(self, matrix: np.ndarray, amounts: np.ndarray) -> np.ndarray:
        """Return one column a learner."""
        chance = 1.0
        if self.chance_line is not None:
            odds = self.chance_line.of(matrix)
            likely = self.chance_boosting.predict_proba(matrix)[:, 1]
            chance = (calibrated(odds) + likely) / 2
        value = chance * self.value_if_bought.predict(matrix)
        return np.column_stack([np.exp(self.line.of(matrix)), value, self.amount_sum.of(amounts)])

    def as_parts(self) -> dict[str, Any]:
        """Return plain numbers and fitted trees."""
        lines = {name: getattr(self, name) for name in ("line", "chance_line")}
        trees = ("chance_boosting", "value_if_bought")
        return {
            **{name: line and asdict(line) for name, line in lines.items()},
            **{name: getattr(self, name) for name in trees},
            "amount_sum": asdict(self.amount_sum),
        }

    @classmethod
    def from_parts(cls, parts: dict[str, Any]) -> Learners:
        """Rebuild them."""
        lines = {name: parts[name] and Line(**parts[name]) for name in ("line", "chance_line")}
        return cls(**(parts | lines | {"amount_sum": AmountSum(**parts["amount_sum"])}))
