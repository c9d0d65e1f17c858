"""The history answers for every day exactly what was recorded on it."""

from datetime import date, timedelta
from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.history import History, advance, members_on, moves_on
from segments.membership import MEMBERSHIP

START = date(2017, 1, 1)
PAIRS = st.sets(st.tuples(st.sampled_from("st"), st.sampled_from("abc")))
# Several steps may name the same day: the later one replaces it. Some go back in time.
STEPS = st.lists(st.tuples(st.integers(0, 8), PAIRS), max_size=8)


def frame(pairs) -> pl.DataFrame:
    return pl.DataFrame(sorted(pairs), schema=MEMBERSHIP, orient="row")


def same(one: History, two: History) -> bool:
    keys = one.intervals.columns
    return one.intervals.sort(keys).equals(two.intervals.sort(keys)) and one.recorded_days.equals(
        two.recorded_days
    )


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_any_day_can_be_asked_for_again(steps):
    history, recorded = History.empty(), {}
    for offset, pairs in steps:
        day = START + timedelta(days=offset)
        before, newest = history, history.newest_day
        history, outcome = advance(before, frame(pairs), day)
        if newest is not None and day < newest:
            assert outcome == "older_than_newest_day"
            assert history is before
            continue
        recorded[day] = pairs
        again = advance(history, frame(pairs), day)
        assert again.outcome == "unchanged"
        assert same(again.history, history)

    assert history.newest_day == max(recorded, default=None)
    for day, pairs in recorded.items():
        assert set(members_on(history, day).rows()) == pairs
    rows = history.intervals.sort("segment_id", "customer_id", "valid_from").rows()
    assert all(until is None or since < until for _, _, since, until in rows)
    for (s1, c1, _, until), (s2, c2, since, _) in pairwise(rows):
        if (s1, c1) == (s2, c2):
            assert until is not None
            assert until < since, "a stay that goes on is one interval"
    # A replaced day leaves no trace: the same history as if only the last word had been said.
    straight = History.empty()
    for day in sorted(recorded):
        straight = advance(straight, frame(recorded[day]), day).history
    assert same(straight, history)


def test_a_day_when_nobody_is_a_member_is_still_recorded():
    day = [START + timedelta(days=n) for n in range(4)]
    history = advance(History.empty(), frame({("s", "a")}), day[0]).history
    history = advance(history, frame(set()), day[2]).history
    assert history.newest_day == day[2]
    assert advance(history, frame({("s", "a")}), day[1]).outcome == "older_than_newest_day"
    assert history.knows(day[1])
    assert not history.knows(day[3])
    assert members_on(history, day[1]).rows() == [("s", "a")]
    assert moves_on(history, day[2]).rows() == [("s", "a", "left")]
    assert moves_on(history, day[0]).rows() == [("s", "a", "entered")]
