"""Clusters: planted structure comes back, the evidence decides, the row order does not."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from ml.clustering import ClusterSettings, cluster_customers
from ml.errors import BadFeature, CustomersAlike, NotEnoughHistory, RepeatedCustomer

AS_OF = dt.date(2026, 3, 31)
# recency, frequency, monetary value at the heart of each planted group, worth most first
GROUPS = {
    "best": (2, 90, 4000),
    "regular": (7, 25, 800),
    "light": (25, 6, 120),
    "gone": (250, 2, 30),
}


def planted(sizes: dict[str, int], spread: float = 0.12, seed: int = 1) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    frames = []
    for name, size in sizes.items():
        noise = draw.normal(0, spread, (3, size))
        recency, frequency, amount = (
            np.expm1(np.log1p(centre) + noise[i]) for i, centre in enumerate(GROUPS[name])
        )
        frames.append(
            pl.DataFrame(
                {"recency_days": recency, "frequency": frequency, "monetary_amount": amount}
            ).with_columns(planted=pl.lit(name))
        )
    frame = pl.concat(frames)
    ids = draw.permutation(frame.height)
    return frame.with_columns(
        customer_id=pl.Series(ids).cast(pl.String).str.zfill(6), as_of_date=pl.lit(AS_OF)
    )


def test_planted_groups_come_back_with_their_number_order_and_names():
    rfm = planted({"light": 150, "best": 90, "gone": 80, "regular": 120})
    result = cluster_customers(rfm)
    found = rfm.join(result.assignments, on="customer_id")
    assert found.select("planted", "cluster_id").unique().sort("cluster_id").rows() == [
        ("best", 0),
        ("regular", 1),
        ("light", 2),
        ("gone", 3),
    ]
    assert result.profiles["cluster_name"].to_list() == [
        "Loyal big spenders, top tier",
        "Loyal big spenders, second tier",
        "Regular shoppers",
        "Gone quiet",
    ]
    right = found.group_by("planted").agg(pl.col("map_x").mean()).sort("map_x")["planted"]
    assert right.to_list() == ["gone", "light", "regular", "best"], "right is worth more"


def test_row_order_changes_nothing():
    rfm = planted({"light": 150, "best": 90, "gone": 80, "regular": 120}, spread=0.7)
    first = cluster_customers(rfm)
    second = cluster_customers(rfm.sample(fraction=1, shuffle=True, seed=9))
    assert first.assignments.equals(second.assignments)
    assert first.candidates.equals(second.candidates)
    assert first.metrics == second.metrics


def test_a_splinter_is_refused_though_its_silhouette_is_best():
    rfm = planted({"best": 200, "regular": 200, "light": 200, "gone": 12})
    result = cluster_customers(rfm)
    by_k = {row["k"]: row for row in result.candidates.to_dicts()}
    assert by_k[4]["silhouette"] > by_k[3]["silhouette"] + 0.01
    assert not by_k[4]["is_chosen"]
    assert "a cluster of 2.0%" in by_k[4]["reason"]
    assert result.profiles["customer_share"].min() >= 0.05
    assert all(row["reason"] for row in by_k.values())


def test_without_structure_the_evidence_says_so_and_customers_are_grouped_still():
    draw = np.random.default_rng(3)
    rfm = planted({"regular": 400}).with_columns(
        pl.Series(name, np.expm1(draw.normal(4, 1, 400)))
        for name in ("recency_days", "frequency", "monetary_amount")
    )
    result = cluster_customers(rfm)
    chosen = result.candidates.row(by_predicate=pl.col("is_chosen"), named=True)
    assert chosen["reason"].startswith("chosen although no candidate holds all limits: not stable")
    assert result.assignments.height == 400


def test_kept_centroids_move_nobody_when_other_customers_come():
    rfm = planted({"light": 150, "best": 90, "gone": 80, "regular": 120}, spread=0.4)
    first = cluster_customers(rfm)
    more = planted({"gone": 500}, seed=8).with_columns(customer_id="n" + pl.col("customer_id"))
    second = cluster_customers(pl.concat([rfm, more]), model=first.model)
    places = ["customer_id", "cluster_id", "map_x", "map_y"]
    again = second.assignments.join(first.assignments, on="customer_id", how="semi")
    assert again.select(places).equals(first.assignments.select(places))
    assert second.parameters["is_refitted"] is False


def test_fitting_samples_and_scoring_does_not():
    rfm = planted({"light": 1500, "best": 900, "gone": 800, "regular": 1200})
    result = cluster_customers(rfm, settings=ClusterSettings(most_fitting_rows=300, resamples=5))
    assert result.assignments.height == rfm.height
    found = rfm.join(result.assignments, on="customer_id")
    assert found.select("planted", "cluster_id").n_unique() == 4


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda f: f.head(12), NotEnoughHistory, "12 customers, 50 needed"),
        (lambda f: f.head(0), NotEnoughHistory, "0 customers"),
        (lambda f: f.drop("frequency"), BadFeature, "lacks the column.* frequency"),
        (
            lambda f: f.with_columns(recency_days=pl.lit(float("nan"))),
            BadFeature,
            "recency_days is NaN or infinite in 100",
        ),
        (
            lambda f: f.with_columns(
                recency_days=pl.lit(3), frequency=pl.lit(2), monetary_amount=pl.lit(9.5)
            ),
            CustomersAlike,
            "all 100 customers have the same",
        ),
        (lambda f: pl.concat([f, f]), RepeatedCustomer, "repeats customers 100"),
    ],
)
def test_bad_input_has_a_named_outcome(spoil, error, message):
    with pytest.raises(error, match=message):
        cluster_customers(spoil(planted({"best": 60, "light": 40})))


def test_a_constant_feature_and_an_empty_amount_are_no_obstacle():
    rfm = planted({"light": 150, "best": 90, "gone": 80}).with_columns(
        frequency=pl.lit(1),
        monetary_amount=pl.when(pl.col("planted") != "gone").then("monetary_amount"),
    )
    result = cluster_customers(rfm)
    assert result.assignments.select(pl.col("map_x", "map_y").is_finite().all()).row(0) == (
        True,
        True,
    )
    found = rfm.join(result.assignments, on="customer_id").filter(pl.col("planted") == "gone")
    assert found["cluster_id"].unique().to_list() == [result.profiles["cluster_id"].max()]
