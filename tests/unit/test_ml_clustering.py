"""Clusters: planted groups come back, evidence decides, what is kept stays kept."""

import datetime as dt
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from ml import artifacts
from ml.cluster_candidates import (
    DENSITY,
    FEATURES,
    KMEANS,
    VIEWS,
    ClusterSettings,
    Period,
    power,
)
from ml.cluster_model import ClusterModel
from ml.cluster_upkeep import matched_ids, upkeep
from ml.clustering import cluster_customers, columns_read, fitting_customers
from ml.errors import (
    BadFeature,
    CustomersAlike,
    FeatureListChanged,
    NotEnoughHistory,
    RepeatedCustomer,
)
from ml.feature_policy import read_policies

POLICIES = read_policies(
    yaml.safe_load((Path(__file__).parents[2] / "features.yml").read_text(encoding="utf-8"))
)
AS_OF = dt.date(2026, 3, 31)
QUICK = ClusterSettings(
    views={"rfm": VIEWS["rfm"], "windows": VIEWS["windows"]}, methods=(KMEANS,), most_k=6
)
# recency, orders a year and the amount of one, chance to buy in the next period; worth most first
GROUPS = {
    "best": (2, 90, 45, 0.98),
    "regular": (7, 25, 30, 0.85),
    "light": (25, 6, 20, 0.5),
    "gone": (250, 2, 15, 0.05),
}
SIZES = {"light": 150, "best": 90, "gone": 80, "regular": 120}


def planted(sizes=SIZES, spread=0.12, seed=1, day=AS_OF) -> pl.DataFrame:
    """Customers of one snapshot, with every feature that clusters are made of."""
    draw = np.random.default_rng(seed)
    frames = []
    for name, size in sizes.items():
        recency, orders, amount, chance = GROUPS[name]
        noise = np.exp(draw.normal(0, spread, (3, size)))
        recency, orders = recency * noise[0], orders * noise[1]
        frame = {"planted": [name] * size, "recency_days": recency, "tenure_days": 400.0}
        for days in (28, 90, 365):
            frame[f"order_count_{days}d"] = np.where(recency < days, orders * days / 365, 0)
            frame[f"spend_amount_{days}d"] = frame[f"order_count_{days}d"] * amount * noise[2]
            frame[f"order_count_prior_{days}d"] = orders * days / 365
            frame[f"spend_amount_prior_{days}d"] = orders * days / 365 * amount
        frame["active_week_count_90d"] = np.minimum(frame["order_count_90d"], 12)
        frame["mean_gap_days"] = 365 / orders
        frame["recency_over_mean_gap"] = recency * orders / 365
        bought = draw.random(size) < chance
        frame["is_repurchased"] = bought
        frame["next_spend_amount"] = bought * orders * amount / 12
        frames.append(pl.DataFrame(frame))
    people = pl.concat(frames)
    # The customer of a place is the same in every snapshot.
    ids = np.random.default_rng(7).permutation(people.height)
    return people.with_columns(
        customer_id=pl.Series(ids).cast(pl.String).str.zfill(6),
        as_of_date=pl.lit(day),
        label_until_date=pl.lit(day + dt.timedelta(28)),
    )


def history(**options) -> pl.DataFrame:
    days = [AS_OF - dt.timedelta(28 * number) for number in range(1, 5)]
    return pl.concat([planted(seed=9 + n, day=day, **options) for n, day in enumerate(days)])


def clusters(today, past=None, *, settings=QUICK, policies=POLICIES, **options):
    return cluster_customers(today, past, policies=policies, settings=settings, **options)


@cache
def usual():
    return clusters(planted(), history())


def test_planted_groups_come_back_with_their_number_order_and_names():
    result = usual()
    found = planted().join(result.assignments, on="customer_id")
    assert found.select("planted", "cluster_id").unique().sort("cluster_id").rows() == [
        ("best", 0),
        ("regular", 1),
        ("light", 2),
        ("gone", 3),
    ]
    assert result.profiles["cluster_name"].to_list()[2:] == ["Regular shoppers", "Gone quiet"]
    right = found.group_by("planted").agg(pl.col("map_x").mean()).sort("map_x")["planted"]
    assert right.to_list() == ["gone", "light", "regular", "best"], "right is worth more"
    assert result.metrics["stability"] > 0.95
    assert result.metrics["repurchase_roc_auc"] > 0.85
    assert all(result.candidates["reason"])


def test_row_order_changes_nothing():
    first = clusters(planted(spread=0.7), history(spread=0.7))
    second = clusters(
        *(
            f.sample(fraction=1, shuffle=True, seed=9)
            for f in (planted(spread=0.7), history(spread=0.7))
        )
    )
    assert first.assignments.equals(second.assignments)
    assert first.metrics == second.metrics


def test_silhouette_alone_does_not_pick_one_huge_cluster():
    """Raw recency, frequency and money with k = 2 put two large accounts opposite all others."""
    raw = {name: replace(policy, outliers="bounded") for name, policy in POLICIES.items()}
    grown = pl.when(pl.int_range(pl.len()) < 2).then(400).otherwise(1)
    today, past = (
        frame.with_columns(pl.col("^(spend_amount|order_count)_365d$") * grown)
        for frame in (planted(spread=0.5), history(spread=0.5))
    )
    settings = replace(QUICK, views={"rfm": VIEWS["rfm"]}, least_k=2)
    result = clusters(today, past, settings=settings, policies=raw)
    two = result.candidates.row(by_predicate=pl.col("k") == 2, named=True)
    assert two["silhouette"] > 0.85
    assert two["silhouette"] == result.candidates["silhouette"].max()
    assert two["largest_share"] > 0.99
    assert not two["is_chosen"]
    assert "at most 60% allowed" in two["reason"]
    read_as_written = clusters(today, past, settings=settings)
    assert read_as_written.profiles["customer_share"].max() < 0.6


def test_without_structure_the_report_says_so_and_customers_are_grouped_still():
    draw = np.random.default_rng(3)
    today = planted({"regular": 400}).with_columns(
        pl.Series(name, np.expm1(draw.normal(4, 1, 400))) for name in VIEWS["rfm"]
    )
    result = clusters(today, settings=replace(QUICK, views={"rfm": VIEWS["rfm"]}))
    chosen = result.candidates.row(by_predicate=pl.col("is_chosen"), named=True)
    assert chosen["reason"].startswith("chosen although no candidate holds all limits: not stable")
    assert result.assignments.height == 400


def test_every_method_is_tried_and_only_centroids_are_kept(tmp_path):
    settings = replace(ClusterSettings(), views={"rfm": VIEWS["rfm"]}, resamples=4, most_k=5)
    result = clusters(planted(), history(), settings=settings)
    assert set(result.candidates["method"]) == set(settings.methods)
    dense = clusters(planted(), history(), settings=replace(settings, methods=(DENSITY,)))
    kept = dense.model.as_parts()
    rows = [len(value) for value in kept.values() if getattr(value, "ndim", 0) == 2]
    assert max(rows) <= 8, "no customer is in it"
    path = artifacts.save(tmp_path / "c.skops", kind="c", features=FEATURES, parts=kept)
    parts = artifacts.load(path, kind="c", features=FEATURES)
    again = ClusterModel.from_parts(parts).assign(planted(), POLICIES).sort("customer_id")
    assert again.select("customer_id", "cluster_id").equals(
        dense.assignments.select("customer_id", "cluster_id")
    ), "what is published can be made again from what is kept"


def test_kept_clusters_move_nobody_when_others_come():
    first = clusters(planted(spread=0.4), history())
    more = planted({"gone": 30}, seed=8).with_columns(customer_id="n" + pl.col("customer_id"))
    today = pl.concat([planted(spread=0.4), more])
    need = upkeep(first.model, today, POLICIES, QUICK)
    assert need.reason is None
    second = clusters(today, kept=first.model, need=need)
    again = second.assignments.join(first.assignments, on="customer_id", how="semi")
    places = ["customer_id", "cluster_id", "map_x", "map_y", "map_z"]
    assert again.select(places).equals(first.assignments.select(places))
    assert second.candidates.is_empty()


@pytest.mark.parametrize(
    ("today", "settings", "is_asked", "reason"),
    [
        (planted(), QUICK, True, "asked for"),
        (planted(), replace(QUICK, most_share=0.5), False, "the settings changed"),
        (planted(day=AS_OF + dt.timedelta(92)), QUICK, False, "92 days old, 91 allowed"),
        (planted({"gone": 300, "light": 60}), QUICK, False, "the sizes of the clusters shifted"),
        (planted(spread=1.2, seed=4), QUICK, False, "times as far from the centroids"),
        (planted(seed=5), QUICK, False, None),
        (planted({"light": 15, "best": 9, "gone": 8, "regular": 12}, seed=6), QUICK, False, None),
    ],
)
def test_clusters_are_fitted_again_for_a_reason_only(today, settings, is_asked, reason):
    kept = usual().model
    need = upkeep(kept, today, POLICIES, settings, is_asked=is_asked)
    assert need.is_usable
    assert (reason in need.reason) if reason else need.reason is None, need


def test_ids_and_names_outlive_a_new_fit():
    first = usual()
    published = first.assignments.with_columns(
        cluster_id=(pl.col("cluster_id") + 3) % 4, cluster_name=pl.lit("Regular shoppers")
    )
    need = upkeep(first.model, planted(), POLICIES, QUICK, is_asked=True)
    second = clusters(
        planted(), history(), kept=first.model, need=need, published=published, highest_id=9
    )
    both = second.assignments.join(published, on="customer_id")
    assert both.filter(pl.col("cluster_id") != pl.col("cluster_id_right")).is_empty()
    assert second.metrics["fitted_because"] == "asked for"


def test_a_cluster_that_is_new_gets_an_id_that_nobody_had():
    fitted = pl.DataFrame({"customer_id": list("abcdefgh"), "cluster_id": [0, 0, 0, 1, 1, 1, 2, 2]})
    published = pl.DataFrame(
        {"customer_id": list("abcdefgh"), "cluster_id": [5, 5, 5, 5, 2, 2, 2, 2]}
    )
    assert matched_ids(fitted, published, highest_id=7) == {0: 5, 1: 8, 2: 2}


def test_a_model_of_other_features_or_rules_is_fitted_again_with_the_reason(tmp_path):
    kept = usual().model
    path = artifacts.save(tmp_path / "c.skops", kind="c", features=["a"], parts=kept.as_parts())
    with pytest.raises(FeatureListChanged) as refusal:
        artifacts.load(path, kind="c", features=FEATURES)
    need = upkeep(refusal.value, planted(), POLICIES, QUICK)
    assert "trained on 1 features" in need.reason
    raw = {name: replace(policy, outliers="bounded") for name, policy in POLICIES.items()}
    need = upkeep(kept, planted(), raw, QUICK)
    assert "by other rules" in need.reason
    assert not need.is_usable


def test_a_fit_that_is_refused_leaves_the_kept_clusters_serving():
    first = usual()
    few = planted().head(12)
    need = upkeep(first.model, few, POLICIES, QUICK, is_asked=True)
    result = clusters(few, kept=first.model, need=need)
    assert not result.is_fitted
    assert result.refused == (
        "to be fitted again (asked for), but not enough history: 12 customers, 50 needed to find "
        "clusters; the kept clusters stay"
    )
    assert result.assignments.height == 12


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda f: f.head(1), NotEnoughHistory, "1 customers, 50 needed"),
        (lambda f: f.head(0), NotEnoughHistory, "0 customers"),
        (lambda f: f.drop("recency_days"), BadFeature, "lack the column.* recency_days"),
        (
            lambda f: f.with_columns(recency_days=pl.lit(float("nan"))),
            BadFeature,
            "recency_days holds NaN or infinity",
        ),
        (
            lambda f: f.with_columns(spend_amount_365d=pl.lit(float("inf"))),
            BadFeature,
            "spend_amount_365d holds NaN or infinity",
        ),
        (lambda f: f.with_columns(pl.lit(3.0).alias(n) for n in FEATURES), CustomersAlike, "same"),
        (lambda f: pl.concat([f, f]), RepeatedCustomer, "repeat customers 440"),
    ],
)
def test_bad_input_has_a_named_outcome(spoil, error, message):
    with pytest.raises(error, match=message):
        clusters(spoil(planted()))


@pytest.mark.parametrize("settings", [QUICK, replace(ClusterSettings(), most_k=4, resamples=3)])
def test_two_kinds_of_customer_are_refused_or_grouped_by_name(settings):
    kinds = pl.concat([planted(seed=1).head(1)] * 40 + [planted(seed=1).tail(1)] * 40)
    kinds = kinds.with_columns(customer_id=pl.int_range(pl.len()).cast(pl.String))
    with pytest.raises(CustomersAlike, match="no groups among 80 customers"):
        clusters(kinds, settings=replace(settings, methods=(KMEANS,)))


def test_a_constant_feature_and_an_empty_gap_are_no_obstacle():
    today, past = (
        frame.with_columns(
            order_count_28d=pl.lit(1), mean_gap_days=pl.lit(None), discount_share_90d=pl.lit(None)
        )
        for frame in (planted(), history())
    )
    result = clusters(today, past, settings=replace(QUICK, views=dict(VIEWS)))
    assert result.assignments.select(pl.col("^map_.$").is_finite().all()).row(0) == (True,) * 3


def test_history_of_one_class_is_no_obstacle():
    past = history().with_columns(is_repurchased=pl.lit(True), next_spend_amount=pl.lit(1.0))
    result = clusters(planted(), past)
    assert result.is_fitted
    assert result.candidates["is_chosen"].sum() == 1


def test_fitting_samples_and_assigning_does_not():
    settings = replace(QUICK, most_fitting_rows=200)
    asked = fitting_customers(planted(), settings)
    assert len(set(asked)) == 200
    past = history().filter(pl.col("customer_id").is_in(asked))
    result = clusters(planted(), past, settings=settings)
    assert result.assignments.height == planted().height
    found = planted().join(result.assignments, on="customer_id")
    assert found.select("planted", "cluster_id").n_unique() == 4


def test_columns_that_stand_in_are_read_too():
    assert "tenure_days" in columns_read(POLICIES)
    assert set(FEATURES) <= set(columns_read(POLICIES))


def test_what_a_cluster_tells_is_the_known_measure():
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(2)
    label, spent = draw.integers(4, size=300), draw.gamma(1, 20, 300)
    bought = (draw.random(300) < (label + 1) / 6).astype(float)
    chance = np.array([0.1, 0.3, 0.6, 0.8])
    period = Period(AS_OF, pl.DataFrame(), bought, spent)
    auc, eta = power(chance, label, period, np.ones((1, 300)))[0]
    means = np.array([spent[label == group].mean() for group in label])
    assert auc == pytest.approx(roc_auc_score(bought, chance[label]))
    assert eta == pytest.approx(means.var() / spent.var())
