"""Buy till you die: expected purchases and their value from three numbers a customer.

Here belong the BG/NBD model of when somebody buys (Fader, Hardie and Lee, 2005), the Gamma-Gamma
model of how much (Fader and Hardie, 2013), both fitted by maximum likelihood, and their product.
Season, features and everything learned from outcomes belong to `ml.lifetime_value`.

The chance that a customer is still alive is not offered. BG/NBD lets nobody leave before a second
purchase, so one-time buyers all get 1: as a churn score it ranks backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ml.errors import CustomersAlike, NotEnoughHistory

# Rates and shapes are searched between these logarithms, in units of the data's own mean. Outside,
# the likelihood is flat: nobody ever leaves, or all customers are the same.
LOG_BOUNDS = (-9.0, 9.0)

# Below 1 the mean value of a customer with no purchase is infinite.
LEAST_Q = 1.01

# At a = 1 the expectation is the limit of 0 / 0.
NEAR_ONE = 1e-5


@dataclass(frozen=True)
class BgNbd:
    """Purchases while alive are Poisson, with rates Gamma(r, alpha) among customers.

    After each of them a customer leaves with a chance that is Beta(a, b) among customers.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    def expected_purchases(
        self,
        repeat_count: np.ndarray,
        last_purchase_age: np.ndarray,
        observed_age: np.ndarray,
        horizon: float,
    ) -> np.ndarray:
        """Return the mean number of purchases in the next `horizon`, in the unit of the fit."""
        from scipy.special import hyp2f1

        x = np.asarray(repeat_count, dtype=float)
        until = self.alpha + np.asarray(observed_age, dtype=float)
        last = self.alpha + np.asarray(last_purchase_age, dtype=float)
        a = self.a + NEAR_ONE if abs(self.a - 1) < NEAR_ONE else self.a
        z = horizon / (until + horizon)
        # Euler's transformation takes the huge powers out of the published form, which overflows
        # for customers with hundreds of purchases.
        left = (1 - z) ** (a - 1) * hyp2f1(a + self.b - 1 - self.r, a - 1, a + self.b + x - 1, z)
        alive = (a + self.b + x - 1) / (a - 1) * (1 - left)
        gone_odds = np.where(
            x > 0, a / (self.b + np.maximum(x, 1) - 1) * (until / last) ** (self.r + x), 0.0
        )
        # Rounding may leave a hair below zero where next to nothing is expected.
        return np.maximum(alive / (1 + gone_odds), 0.0)


@dataclass(frozen=True)
class GammaGamma:
    """Amounts of a customer are Gamma(p, ν) with ν itself Gamma(q, v) among customers."""

    p: float
    q: float
    v: float
    log_likelihood: float

    def expected_amount(self, purchase_count: np.ndarray, mean_amount: np.ndarray) -> np.ndarray:
        """Return the mean amount of a future purchase: between the customer's and everybody's."""
        count = np.asarray(purchase_count, dtype=float)
        seen = count * np.maximum(np.asarray(mean_amount, dtype=float), 0.0)
        return self.p * (self.v + seen) / (self.p * count + self.q - 1)


@dataclass(frozen=True)
class Floor:
    """Expected days of purchase times the expected amount of each: what no model may fall below."""

    purchases: BgNbd
    amounts: GammaGamma

    @classmethod
    def fit(cls, histories: pl.DataFrame) -> Floor:
        """Fit both models to one row per customer, as `predict` reads them."""
        purchases = fit_bg_nbd(
            *(histories[name].to_numpy() for name in ("repeat_count", "last_age", "observed_age"))
        )
        count, mean = (histories[name].to_numpy() for name in ("amount_count", "mean_amount"))
        try:
            return cls(purchases, fit_gamma_gamma(count, mean))
        except CustomersAlike:
            # A subscription: everybody pays the same. Almost no spread gives that amount to all.
            price = float(mean[(count > 0) & (mean > 0)][0])
            return cls(purchases, GammaGamma(1.0, 1e9 + 1, price * 1e9, 0.0))

    def predict(self, histories: pl.DataFrame, horizon_days: int) -> pl.DataFrame:
        """Return expected days of purchase, amount of each, and their product.

        `histories`: repeat_count (days of purchase after the first), last_age and observed_age
        (days from the first to the last purchase, and to now), amount_count and mean_amount (days
        of purchase whose amounts are known, and their mean).
        """
        x, last, until, count, mean = (
            histories[name].to_numpy()
            for name in ("repeat_count", "last_age", "observed_age", "amount_count", "mean_amount")
        )
        days = self.purchases.expected_purchases(x, last, until, horizon_days)
        amount = self.amounts.expected_amount(count, mean)
        return pl.DataFrame(
            {
                "floor_value_amount": days * amount,
                "floor_day_count": days,
                "floor_day_amount": amount,
            }
        )


def fit_bg_nbd(
    repeat_count: np.ndarray, last_purchase_age: np.ndarray, observed_age: np.ndarray
) -> BgNbd:
    """Fit by maximum likelihood; ages may be in any one unit, and alpha comes out in it."""
    rows = np.column_stack([repeat_count, last_purchase_age, observed_age]).astype(float)
    rows, weight = np.unique(rows, axis=0, return_counts=True)
    x, last, until = rows.T
    if not np.dot(weight, x):
        raise NotEnoughHistory("not enough history: no customer has bought on a second day")
    # In its own unit alpha may be 4 weeks or 30 days; scaled, the search starts near the answer.
    unit = float(np.average(until, weights=weight)) / 10 or 1.0
    last, until = last / unit, until / unit

    def value(logs: np.ndarray) -> tuple[float, np.ndarray]:
        return _bg_nbd_likelihood(np.exp(logs), x, last, until, weight)

    best, logs = _maximum(value, [(1.0, 1.0, 1.0, 1.0), (0.3, 3.0, 0.5, 2.0)])
    r, alpha, a, b = (float(number) for number in np.exp(logs))
    # Densities of purchase times are per unit of time.
    shift = float(np.dot(weight, x)) * np.log(unit)
    return BgNbd(r, alpha * unit, a, b, float(best - shift))


def fit_gamma_gamma(purchase_count: np.ndarray, mean_amount: np.ndarray) -> GammaGamma:
    """Fit by maximum likelihood on customers whose purchases brought in something."""
    count, mean = np.asarray(purchase_count, float), np.asarray(mean_amount, float)
    usable = (count > 0) & (mean > 0)
    count, mean = count[usable], mean[usable]
    if not len(mean):
        raise NotEnoughHistory("not enough history: no customer has spent anything")
    if np.ptp(mean) == 0:
        raise CustomersAlike(f"all {len(mean)} customers spend the same, {mean[0]:g} a purchase")
    unit = float(mean.mean())
    rows, weight = np.unique(np.column_stack([count, mean / unit]), axis=0, return_counts=True)

    def value(logs: np.ndarray) -> tuple[float, np.ndarray]:
        return _gamma_gamma_likelihood(np.exp(logs), rows[:, 0], rows[:, 1], weight)

    low = (LOG_BOUNDS[0], np.log(LEAST_Q), LOG_BOUNDS[0])
    best, logs = _maximum(value, [(1.0, 3.0, 1.0), (6.0, 4.0, 0.5)], low)
    p, q, v = (float(number) for number in np.exp(logs))
    return GammaGamma(p, q, v * unit, float(best - len(mean) * np.log(unit)))


def _bg_nbd_likelihood(
    parameters: np.ndarray, x: np.ndarray, last: np.ndarray, until: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the log-likelihood and its gradient by the logarithms of the parameters."""
    from scipy.special import betaln, gammaln, psi

    r, alpha, a, b = parameters
    log_until, log_last = np.log(alpha + until), np.log(alpha + last)
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
    stays = -(r + x) * log_until
    repeats = x > 0
    before = np.where(repeats, b + x - 1, 1.0)
    # Left right after the last purchase: impossible before there was a second one.
    left = np.where(repeats, np.log(a) - np.log(before) - (r + x) * log_last, -np.inf)
    total = np.logaddexp(stays, left)
    stayed, gone = np.exp(stays - total), np.exp(left - total)
    value = np.dot(weight, common + total)
    both, all_of_it = psi(a + b), psi(a + b + x)
    slopes = (
        psi(r + x) - psi(r) + np.log(alpha) - stayed * log_until - gone * log_last,
        r / alpha - (r + x) * (stayed / (alpha + until) + gone / (alpha + last)),
        both - all_of_it + gone / a,
        both - all_of_it + psi(b + x) - psi(b) - gone / before,
    )
    return float(value), np.array([np.dot(weight, slope) for slope in slopes]) * parameters


def _gamma_gamma_likelihood(
    parameters: np.ndarray, count: np.ndarray, mean: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the log-likelihood and its gradient by the logarithms of the parameters."""
    from scipy.special import betaln, psi

    p, q, v = parameters
    spent = count * mean
    own, other = np.log1p(v / spent), np.log1p(spent / v)
    terms = -betaln(p * count, q) - np.log(mean) - p * count * own - q * other
    whole = psi(p * count + q)
    slopes = (
        count * (whole - psi(p * count) - own),
        whole - psi(q) - other,
        q / v - (p * count + q) / (spent + v),
    )
    value = np.dot(weight, terms)
    return float(value), np.array([np.dot(weight, slope) for slope in slopes]) * parameters


def _maximum(
    value: Callable[[np.ndarray], tuple[float, np.ndarray]],
    starts: list[tuple[float, ...]],
    low: tuple[float, ...] | None = None,
) -> tuple[float, np.ndarray]:
    """Climb from every start and keep the highest point; the surface has ridges, not peaks."""
    from scipy.optimize import minimize

    def descent(logs: np.ndarray) -> tuple[float, np.ndarray]:
        height, slope = value(logs)
        return -height / scale, -slope / scale

    scale = max(abs(value(np.log(starts[0]))[0]), 1.0)
    bounds = [(low[n] if low else LOG_BOUNDS[0], LOG_BOUNDS[1]) for n in range(len(starts[0]))]
    found: list[Any] = [
        minimize(
            descent,
            np.log(start),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
        )
        for start in starts
    ]
    best = min(found, key=lambda result: result.fun)
    return -float(best.fun) * scale, best.x
