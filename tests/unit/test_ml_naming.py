"""Names: a marketer's words, the same for the same meaning, each once."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.naming import MEASURES, Profile, name_clusters, name_of

GROCER = Profile(recency_days=5, frequency=43, monetary_amount=1210)
FURNISHER = Profile(recency_days=120, frequency=2, monetary_amount=400)


@pytest.mark.parametrize(
    ("everyone", "profile", "name"),
    [
        (GROCER, (1, 112, 3503), "Loyal big spenders"),
        (GROCER, (3, 100, 1300), "Frequent small-basket shoppers"),
        (GROCER, (6, 40, 2500), "Regular big spenders"),
        (GROCER, (12, 12, 2500), "Occasional big spenders"),
        (GROCER, (5, 43, 1210), "Regular shoppers"),
        (GROCER, (5, 36, 500), "Regular light spenders"),
        (GROCER, (21, 18, 418), "Occasional shoppers"),  # three weeks is this group's own rhythm
        (GROCER, (25, 30, 900), "Slipping away"),
        (GROCER, (60, 80, 2900), "Valued customers slipping away"),
        (GROCER, (79, 4, 66), "Gone quiet"),
        (FURNISHER, (60, 2, 420), "Regular shoppers"),
        (FURNISHER, (320, 1, 150), "Gone quiet"),
        (
            Profile(0, 200, 3000),
            (3, 110, 1500),
            "Occasional shoppers",
        ),  # daily shop: 3 days is fine
    ],
)
def test_a_profile_beside_everyone_has_its_name(everyone, profile, name):
    assert name_of(Profile(*profile), everyone) == name


def test_two_of_a_kind_are_told_apart_by_what_differs_most():
    rows = [(4, 10, 53, 1732), (7, 1, 36, 878), (2, 1, 112, 3503)]
    names = name_clusters(frame(rows), vars(GROCER))
    assert names == {
        4: "Regular shoppers, quieter lately",
        7: "Regular shoppers, bought recently",
        2: "Loyal big spenders",
    }


def test_cluster_numbers_do_not_decide_names():
    rows = [(0, 10, 53, 1732), (1, 1, 36, 878), (2, 4, 48, 1300), (3, 79, 4, 66)]
    names = name_clusters(frame(rows), vars(GROCER))
    renumbered = name_clusters(frame([(3 - row[0], *row[1:]) for row in rows]), vars(GROCER))
    assert {3 - cluster_id: name for cluster_id, name in renumbered.items()} == names


@given(
    st.lists(
        st.tuples(st.floats(0, 365), st.floats(0, 400), st.floats(-50, 9000)),
        min_size=1,
        max_size=9,
    )
)
def test_any_run_has_distinct_names_in_words(profiles):
    names = name_clusters(frame([(i, *p) for i, p in enumerate(profiles)]), vars(GROCER))
    assert len(set(names.values())) == len(profiles)
    assert not any("cluster" in name.lower() for name in names.values())


def frame(rows: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={"cluster_id": pl.Int32, **dict.fromkeys(MEASURES, pl.Float64)},
        orient="row",
        strict=False,
    )
