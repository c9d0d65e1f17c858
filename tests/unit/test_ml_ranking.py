"""Purchases as of a day, lists of the best, and how honestly their recall is judged."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from ml.errors import BadFeature, RepeatedCustomer
from ml.purchases import Pairs, Purchases, day_number
from ml.ranking import best, judge_recalls, recall_of

DAY = dt.date(2024, 3, 1)


def purchases(*rows: tuple[int, int, int]) -> Purchases:
    """Rows of customer, product and days before DAY."""
    frame = pl.DataFrame(
        [(c, p, DAY - dt.timedelta(days)) for c, p, days in rows],
        schema={"customer_number": pl.Int32, "product_number": pl.Int32, "order_date": pl.Date},
        orient="row",
    )
    return Purchases.of(frame, customer_count=3, product_count=4)


def test_facts_of_a_pair_know_nothing_from_after_the_day() -> None:
    bought = purchases((0, 1, 30), (0, 1, 20), (0, 1, 10), (0, 1, -5), (2, 3, -1))
    pairs = Pairs(bought, day_number(DAY))
    assert pairs.key.tolist() == [1]
    assert (pairs.count[0], pairs.age_of_first[0], pairs.age_of_last[0]) == (3, 30, 10)
    assert pairs.mean_gap[0] == 10
    assert pairs.decayed(10)[0] == pytest.approx(0.125 + 0.25 + 0.5)
    assert pairs.buyers_of_product(within_days=11).tolist() == [0, 1, 0, 0]
    assert pairs.buyers_of_product(within_days=10).tolist() == [0, 0, 0, 0]


def test_no_purchases_are_no_error_here() -> None:
    pairs = Pairs(purchases(), day_number(DAY))
    assert len(pairs) == 0
    assert pairs.decayed(10).tolist() == pairs.mean_gap.tolist() == []


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([(0, 4, 1)], BadFeature, "product_number lies outside of the list of 4 ids"),
        ([(-1, 0, 1)], BadFeature, "customer_number lies outside"),
        ([(0, 1, 1), (0, 1, 1)], RepeatedCustomer, "1 purchases repeat"),
        ([(None, 1, 1)], BadFeature, "empty somewhere in customer_number"),
    ],
)
def test_bad_purchases_are_refused_by_name(rows: list, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        purchases(*rows)


def test_ties_go_to_the_lower_product() -> None:
    customer, product = np.array([1, 0, 0, 0]), np.array([2, 3, 1, 2])
    places = best(customer, product, np.array([9.0, 1.0, 1.0, 5.0]), length=2)
    assert list(zip(customer[places], product[places], strict=True)) == [(0, 2), (0, 1), (1, 2)]


def test_recall_is_over_ten_at_most_and_leaves_out_who_bought_nothing() -> None:
    judged = np.array([True, True, True, False])
    truth = np.array([*range(20), 100, 101, 300])  # 20 products of the first, 2 of the second
    listed = np.array([0, 1, 2, 100, 200, 300])
    recall = recall_of(listed, truth, product_count=100, customer_count=4, is_judged=judged)
    assert recall[:2].tolist() == [0.3, 0.5]
    assert np.isnan(recall[2:]).all()


def test_a_gain_is_paired_over_customers() -> None:
    random = np.random.default_rng(1)
    weak = random.random(400)
    judged = judge_recalls([{"a": weak + 0.01, "b": weak}], seed=3)
    assert judged["gains"]["a"]["b"].is_above_zero  # tiny, but the same for everybody
    assert not judge_recalls([{"a": weak, "b": random.permutation(weak)}], seed=3)["gains"]["a"][
        "b"
    ].is_above_zero
    figure = judged["figures"]["b"]
    assert figure.value == pytest.approx(weak.mean())
    assert figure.low < figure.value < figure.high
