"""From what a model says to a probability that holds: a line over its log odds.

Here belong fitting the line and applying it (Platt, 1999). Which scores it is fitted on, so that
they are as far from their training as those to be published, is each model's own business.
"""

from __future__ import annotations

import numpy as np

from ml.threads import one_thread

# Slope and intercept over log odds.
Line = tuple[float, float]
UNCHANGED: Line = (1.0, 0.0)


def calibration_line(odds: np.ndarray, outcome: np.ndarray) -> Line:
    """Return slope and intercept over the log odds that fit the outcome best."""
    from sklearn.linear_model import LogisticRegression

    if not rarest(outcome) or np.ptp(odds) == 0:
        return UNCHANGED
    with one_thread():
        line = LogisticRegression(C=1e6).fit(odds.reshape(-1, 1), outcome)
    slope = float(line.coef_[0, 0])
    # A falling line would turn the ranking round: noise then, and better left uncalibrated.
    return (slope, float(line.intercept_[0])) if slope > 0 else UNCHANGED


def calibrated(odds: np.ndarray, line: Line = UNCHANGED) -> np.ndarray:
    """Return the probability of every log odds under a line."""
    slope, intercept = line
    return 1 / (1 + np.exp(-(slope * odds + intercept)))


def rarest(outcome: np.ndarray) -> int:
    """Return how many rows have the rarer outcome."""
    return int(min(outcome.sum(), len(outcome) - outcome.sum()))
