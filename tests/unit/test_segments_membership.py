"""Membership and scorecard, on customers few enough to count by hand."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from segments.history import History, advance
from segments.membership import VALUE_COLUMNS, evaluate, profile
from segments.rules import Segment
from segments.scorecard import overlaps, scorecard

TODAY = date(2017, 12, 31)
FREQUENT = Segment("frequent", "Frequent", "d", "rule", "frequency >= 3")
LEAVING = Segment("leaving", "Leaving", "d", "model", "churn_score >= 0.5")
WORTHY = Segment("worthy", "Worthy", "d", "hybrid", "value_decile = 1 and frequency >= 3")
NOBODY = Segment("nobody", "Nobody", "d", "rule", "frequency > 99")


def customers() -> pl.DataFrame:
    rfm = pl.DataFrame(
        {
            "customer_id": ["b", "a", "c"],
            "recency_days": [1, 2, 3],
            "frequency": [3, 4, 1],
            "monetary_amount": ["0.10", "0.20", "0.70"],
        }
    ).with_columns(pl.col("monetary_amount").cast(pl.Decimal(18, 4)))
    features = pl.DataFrame(
        {
            "customer_id": ["a", "b", "c"],
            "recency_days": [9, 9, 9],
            "discount_share_90d": [0.5, float("nan"), None],
            "campaign_contact_count_90d": [1, 2, 0],
            "coupon_redemption_count_90d": [1, 0, 1],
        }
    )
    dim = pl.DataFrame(
        {"customer_id": ["a", "b", "c", "d"], "is_contactable_by_mail": [True, False, True, None]}
    )
    clusters = pl.DataFrame({"customer_id": ["a"], "cluster_name": ["x"], "cluster_id": [1]})
    scores = pl.DataFrame({"customer_id": ["a", "b"], "churn_score": [0.9, 0.1]})
    values = pl.DataFrame(
        {
            "customer_id": ["a"],
            "expected_order_count": [2.0],
            "expected_value_amount": [20.0],
            "value_decile": [1],
        }
    )
    return profile(rfm, features, dim, clusters, scores, values)


def test_profile_has_every_customer_once_and_no_nan():
    found = customers()
    assert found["customer_id"].to_list() == ["a", "b", "c", "d"]
    assert found["recency_days"].to_list() == [2, 1, 3, None]
    assert found["discount_share_90d"].to_list() == [0.5, None, None, None]


def test_profile_refuses_rows_of_several_days():
    twice = pl.DataFrame({"customer_id": ["a", "a"], "churn_score": [0.1, 0.2]})
    one = pl.DataFrame({"customer_id": ["a"], "cluster_name": ["x"]})
    none = pl.DataFrame(schema=["customer_id", *VALUE_COLUMNS])
    with pytest.raises(ValueError, match=r"ml\.churn_scores has more than one row"):
        profile(one, one, one, one, twice, none)


def test_unknown_is_not_a_member():
    unlike = Segment("calm", "Calm", "d", "model", "not (churn_score >= 0.5)")
    members = evaluate([FREQUENT, LEAVING, unlike, WORTHY, NOBODY], customers())
    assert members.rows() == [
        ("frequent", "a"),
        ("frequent", "b"),
        ("leaving", "a"),
        ("calm", "b"),
        ("worthy", "a"),
    ]
    assert evaluate([], customers()).is_empty()


def test_scorecard_counted_by_hand():
    people = customers()
    segments = [FREQUENT, LEAVING, NOBODY]
    members = evaluate(segments, people)
    earlier = pl.DataFrame({"segment_id": ["frequent"] * 2, "customer_id": ["a", "c"]})
    history = advance(History.empty(), earlier, date(2017, 12, 1)).history
    history = advance(history, members, TODAY).history
    rows = {
        row["segment_id"]: row
        for row in scorecard(segments, members, people, history, TODAY).iter_rows(named=True)
    }
    assert list(rows) == ["frequent", "leaving", "nobody"]
    assert rows["frequent"] == {
        "segment_id": "frequent",
        "as_of_date": TODAY,
        "customer_count": 2,
        "customer_share": 0.5,
        "revenue_amount": Decimal("0.3000"),
        "revenue_share": 0.3,
        "average_order_amount": Decimal("0.0429"),
        "order_count_per_customer": 3.5,
        "reachable_share": 0.5,
        "response_share": 0.5,
        "discount_share": 0.5,
        "mean_churn_score": 0.5,
        "stability_share": pytest.approx(1 / 3),
        "closest_segment_id": "leaving",
        "overlap_share": 0.5,
    }
    assert rows["leaving"]["stability_share"] is None, "nobody was in it then"
    assert rows["nobody"]["customer_count"] == 0
    assert rows["nobody"]["average_order_amount"] is None
    assert rows["nobody"]["closest_segment_id"] is None
    first_day = advance(History.empty(), members, TODAY).history
    unknown = scorecard(segments, members, people, first_day, TODAY)["stability_share"]
    assert unknown.null_count() == 3


def test_scorecard_of_nobody_at_all():
    none = customers().clear()
    found = scorecard([FREQUENT], evaluate([FREQUENT], none), none, History.empty(), TODAY)
    assert found["customer_count"].to_list() == [0]
    assert found["revenue_share"].to_list() == [None]


def test_overlaps_equal_the_pairs_counted_one_by_one():
    sets = {"s": "abcd", "t": "cdef", "u": "xyz", "v": "d"}
    members = pl.DataFrame(
        [(key, one) for key, people in sets.items() for one in people],
        schema=["segment_id", "customer_id"],
        orient="row",
    )
    expected = [
        (one, two, len(set(sets[one]) & set(sets[two])) / len(set(sets[one]) | set(sets[two])))
        for one in sets
        for two in sets
        if one != two and set(sets[one]) & set(sets[two])
    ]
    assert overlaps(members).rows() == expected
