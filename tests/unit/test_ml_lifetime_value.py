"""Lifetime value: the published digits, no look ahead, honest measures, named refusals."""

import datetime as dt
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.special import beta as beta_function
from scipy.stats import spearmanr

from ml import artifacts
from ml.amount_judgement import RankedAmounts, tenths, tenths_table
from ml.buy_till_you_die import (
    BgNbd,
    GammaGamma,
    _bg_nbd_likelihood,
    _gamma_gamma_likelihood,
    fit_bg_nbd,
    fit_gamma_gamma,
)
from ml.errors import (
    BadFeature,
    CustomersAlike,
    FeatureListChanged,
    LeakedLabel,
    NotEnoughHistory,
    RepeatedCustomer,
)
from ml.feature_policy import FeaturePolicy
from ml.lifetime_value import predict_lifetime_value
from ml.trained_on import are_in
from ml.value_learners import LearnerSettings
from ml.value_model import LifetimeValueSettings, ValueModel
from ml.value_rows import READ, histories
from ml.value_season import Season

NEWEST = dt.date(2024, 12, 29)
NAMES = ("recency_days", "tenure_days", "spend_amount_28d", "visit_count")
POLICIES = {name: FeaturePolicy(name, "", "", (), "never", None, "", "log") for name in READ} | {
    "mean_gap_days": FeaturePolicy(
        "mean_gap_days", "", "", (), "filled", "tenure_days", "one day", "log"
    ),
    "visit_count": FeaturePolicy("visit_count", "", "", (), "filled", 0, "not measured", "log"),
}
QUICK = LifetimeValueSettings(learners=LearnerSettings(boosting_rounds=10, boosting_leaf_rows=20))


def sample_of_cdnow() -> pl.DataFrame:
    """The published sample by customer and day, from the files of `lifetimes`, never imported."""
    package = Path(importlib.util.find_spec("lifetimes").origin).parent
    lines = (package / "datasets" / "CDNOW_sample.txt").read_text().splitlines()
    sales = [line.split()[-4:] for line in lines if line.strip()]
    return (
        pl.DataFrame(sales, schema=["customer_id", "order_date", "cds", "net_amount"], orient="row")
        .with_columns(
            pl.col("order_date").str.to_date("%Y%m%d"), pl.col("net_amount").cast(pl.Float64)
        )
        .group_by("customer_id", "order_date")
        .agg(pl.col("net_amount").sum())
    )


def company(customers: int = 300, seed: int = 3, days: int = 360) -> pl.DataFrame:
    """Days of purchase of customers with their own rate, chance to leave and price."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        rate, leaves = draw.gamma(1.5, 0.04), draw.beta(1.0, 12.0)
        price = draw.lognormal(3.0, 0.6)
        day = int(draw.integers(0, days // 2))
        while day < days:
            rows.append((f"c{number:05d}", day, round(price * draw.lognormal(0, 0.3), 2)))
            if draw.random() < leaves:
                break
            day += 1 + int(draw.exponential(1 / rate))
    return pl.DataFrame(rows, schema=["customer_id", "day", "amount"], orient="row").select(
        "customer_id",
        "amount",
        order_date=pl.lit(NEWEST - dt.timedelta(days)) + pl.duration(days=pl.col("day")),
    )


def mart(days: pl.DataFrame, count: int = 8) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Snapshots and labels as dbt makes them, of few columns."""
    features, labels = [], []
    for back in range(count):
        date = NEWEST - dt.timedelta(28 * back)
        age = (pl.lit(date) - pl.col("order_date")).dt.total_days()
        amount = pl.col("amount")
        snapshot = (
            days.filter(pl.col("order_date") <= date)
            .group_by("customer_id")
            .agg(
                recency_days=age.min(),
                tenure_days=age.max(),
                mean_gap_days=(age.max() - age.min()) / pl.when(pl.len() > 1).then(pl.len() - 1),
                purchase_day_count_365d=pl.len(),
                **{f"spend_amount_{n}d": amount.filter(age < n).sum() for n in (7, 28, 90, 365)},
            )
            .with_columns(as_of_date=pl.lit(date), visit_count=pl.lit(None, pl.Int64))
        )
        features.append(snapshot)
        if back:
            after = (age < 0) & (age >= -28)
            bought = days.group_by("customer_id").agg(
                order_count=after.sum(), spend_amount=amount.filter(after).sum()
            )
            labels.append(
                snapshot.select(
                    "customer_id",
                    "as_of_date",
                    horizon_days=pl.lit(28),
                    label_until_date=pl.lit(date + dt.timedelta(28)),
                ).join(bought, on="customer_id")
            )
    return pl.concat(features), pl.concat(labels) if labels else None


def predicted(features, labels, settings=QUICK, **other):
    options = {"policies": POLICIES, "feature_names": NAMES, "settings": settings}
    return predict_lifetime_value(features, labels, **(options | other))


@pytest.fixture(scope="module")
def frames():
    return mart(company())


@pytest.fixture(scope="module")
def result(frames):
    return predicted(*frames)


# The floor


def test_bg_nbd_and_gamma_gamma_on_cdnow_to_the_published_digits():
    """39 weeks of the sample of 2,357; Fader, Hardie and Lee (2005), Fader and Hardie (2013)."""
    end = dt.date(1997, 9, 30)
    days = sample_of_cdnow().filter(pl.col("order_date") <= end)
    date = pl.col("order_date")
    people = days.group_by("customer_id").agg(
        repeats=pl.len() - 1,
        last=(date.max() - date.min()).dt.total_days() / 7,
        until=(pl.lit(end) - date.min()).dt.total_days() / 7,
    )
    assert people.height == 2357
    buys = fit_bg_nbd(*(people[name].to_numpy() for name in ("repeats", "last", "until")))
    assert buys.r == pytest.approx(0.2426, abs=5e-5)
    assert buys.alpha == pytest.approx(4.4136, abs=5e-5)
    assert buys.a == pytest.approx(0.7929, abs=5e-5)
    assert buys.b == pytest.approx(2.4259, abs=5e-5)
    assert buys.log_likelihood == pytest.approx(-9582.43, abs=5e-3)
    # "0.2 transactions" would hide it: the published worked example is customer 1, 39 weeks ahead.
    assert buys.expected_purchases([2.0], [30.43], [38.86], 39)[0] == pytest.approx(1.226, abs=5e-4)

    again = days.filter(date > date.min().over("customer_id"))
    spent = again.group_by("customer_id").agg(pl.len(), pl.col("net_amount").mean())
    assert spent.height == 946
    amounts = fit_gamma_gamma(spent["len"].to_numpy(), spent["net_amount"].to_numpy())
    assert amounts.p == pytest.approx(6.25, abs=5e-3)
    assert amounts.q == pytest.approx(3.744, abs=5e-4)
    assert amounts.v == pytest.approx(15.444, abs=1e-3)


@pytest.mark.parametrize("parameters", [(0.24, 4.4, 0.8, 2.4), (3.0, 0.2, 12.0, 0.05)])
def test_the_slopes_are_those_of_the_likelihoods(parameters):
    x, weight = np.array([0.0, 1, 2, 400]), np.array([3.0, 1, 2, 1])
    last, until = np.array([0.0, 0.0, 30, 398]), np.array([20.0, 39, 38, 400])
    spent = np.array([4.0, 0.2, 30, 8])
    for function, start in (
        (lambda p: _bg_nbd_likelihood(p, x, last, until, weight), np.array(parameters)),
        (lambda p: _gamma_gamma_likelihood(p, x + 1, spent, weight), np.array(parameters[:3])),
    ):
        for place in range(len(start)):
            step = np.zeros(len(start))
            step[place] = 1e-5
            up, down = (function(start * np.exp(sign * step))[0] for sign in (1, -1))
            assert function(start)[1][place] == pytest.approx((up - down) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("a", [0.3, 1.0, 2.5])
def test_expected_purchases_agree_with_the_integral_over_the_chance_to_leave(a):
    model = BgNbd(0.7, 5.0, a, 3.0, 0.0)
    for x, last, until in ((0, 0.0, 30.0), (1, 4.0, 30.0), (7, 28.0, 30.0)):
        r, alpha = model.r + x, model.alpha + until

        def buys(p, r=r, alpha=alpha, x=x):
            density = p ** (a - 1) * (1 - p) ** (model.b + x - 1) / beta_function(a, model.b + x)
            return density * (1 - (alpha / (alpha + 12 * p)) ** r) / p

        gone = a / (model.b + x - 1) * (alpha / (model.alpha + last)) ** r if x else 0
        expected = quad(buys, 0, 1, limit=200)[0] / (1 + gone)
        assert model.expected_purchases([x], [last], [until], 12)[0] == pytest.approx(
            expected, rel=1e-4
        )


def test_expected_purchases_stay_finite_for_hundreds_of_purchases_and_grow_with_the_horizon():
    model = BgNbd(1.4, 9.6, 0.19, 272.0, 0.0)
    x, last, until = np.array([0.0, 300, 2000]), np.array([0.0, 360, 364]), np.full(3, 365.0)
    before = np.zeros(3)
    for horizon in (1, 28, 90, 365, 3650):
        now = model.expected_purchases(x, last, until, horizon)
        assert np.isfinite(now).all()
        assert (now > before).all()
        before = now


def test_a_one_time_buyer_is_not_ranked_first_though_never_counted_as_gone():
    model = BgNbd(0.2426, 4.4136, 0.7929, 2.4259, 0.0)
    once, often = model.expected_purchases([0.0, 6.0], [0.0, 37.0], [39.0, 39.0], 39)
    assert often > 20 * once


def test_the_fit_finds_the_makers_of_the_data_and_does_not_depend_on_units():
    draw = np.random.default_rng(8)
    rows = []
    for _ in range(4000):
        rate, leaves, when, last, x = draw.gamma(0.8, 1 / 6), draw.beta(1.5, 4.0), 0.0, 0.0, 0
        while (when := when + draw.exponential(1 / rate)) < 52:
            last, x = when, x + 1
            if draw.random() < leaves:
                break
        rows.append((x, last, 52.0))
    x, last, until = np.array(rows).T
    weeks, in_days = fit_bg_nbd(x, last, until), fit_bg_nbd(x, last * 7, until * 7)
    assert weeks.r == pytest.approx(0.8, rel=0.15)
    assert weeks.alpha == pytest.approx(6.0, rel=0.2)
    assert weeks.a / (weeks.a + weeks.b) == pytest.approx(1.5 / 5.5, rel=0.15)
    assert in_days.alpha == pytest.approx(weeks.alpha * 7, rel=1e-3)
    assert in_days.r == pytest.approx(weeks.r, rel=1e-3)
    assert in_days.log_likelihood == pytest.approx(weeks.log_likelihood - x.sum() * np.log(7))


def test_the_expected_amount_lies_between_the_customers_own_and_everybodys():
    amounts = GammaGamma(6.25, 3.744, 15.444, 0.0)
    everybody = amounts.expected_amount([0], [0.0])[0]
    assert everybody == pytest.approx(6.25 * 15.444 / 2.744)
    few, many = amounts.expected_amount([1, 50], [100.0, 100.0])
    assert everybody < few < many < 100


def test_the_gaps_of_the_mart_say_how_often_somebody_came_back():
    rows = pl.DataFrame(
        {
            "tenure_days": [100, 40],
            "recency_days": [10, 40],
            "mean_gap_days": [30.000000001, 40.0],  # one day of purchase: filled with the tenure
            "purchase_day_count_365d": [4, 0],
            "spend_amount_365d": [50.0, 0.0],
        }
    )
    assert histories(rows).rows() == [(3.0, 90.0, 100.0, 4.0, 12.5), (0.0, 0.0, 40.0, 0.0, 0.0)]


# The prediction


def test_it_beats_last_spending_and_every_customer_gets_a_value(frames, result):
    newest = frames[0].filter(pl.col("as_of_date") == NEWEST)
    assert (result.as_of_date, result.holdout_date) == (NEWEST, NEWEST - dt.timedelta(28))
    scores = result.scores
    assert scores["customer_id"].to_list() == sorted(newest["customer_id"])
    amounts = ("expected_order_count", "expected_value_amount", "floor_value_amount")
    assert scores.columns == ["customer_id", "horizon_days", *amounts, "value_decile"]
    assert scores.select(((pl.col(amounts) >= 0) & pl.col(amounts).is_finite()).all()).row(0) == (
        True,
        True,
        True,
    )
    best = scores.group_by("value_decile").agg(pl.col("expected_value_amount").mean())
    assert best.sort("value_decile")["expected_value_amount"].is_sorted(descending=True)
    metrics = result.metrics
    assert metrics["model"]["spearman"] > metrics["last_period"]["spearman"]
    assert metrics["model"]["rmse"] < metrics["last_period"]["rmse"]
    assert 0.6 < metrics["model"]["total_ratio"] < 1.6
    assert len(metrics["cut_offs"]) == 3
    value, low, high = metrics["cut_offs"][0]["intervals"]["model"]["spearman"]
    assert low < value < high


def test_the_same_data_in_another_order_gives_the_same_values(frames, result):
    again = predicted(*(frame.sample(fraction=1, shuffle=True, seed=1) for frame in frames))
    assert again.scores.equals(result.scores)
    assert (again.metrics, again.parameters) == (result.metrics, result.parameters)


def test_nothing_after_a_cut_off_reaches_the_model_judged_there(frames, result):
    features, labels = frames
    cut = NEWEST - dt.timedelta(56)
    late = pl.col("label_until_date") > cut
    lies = labels.with_columns(
        spend_amount=pl.when(late & (pl.col("customer_id") < "c00150"))
        .then(999.0)
        .otherwise(pl.col("spend_amount"))
    )
    earlier = features.filter(pl.col("as_of_date") <= cut)
    known = labels.filter(~late)
    unaware = predicted(earlier, known)
    honest, misled = (predicted(features, each) for each in (labels, lies))
    assert honest.metrics["cut_offs"][1]["as_of_date"] == str(cut)
    assert misled.metrics["cut_offs"][1] != honest.metrics["cut_offs"][1], "the truth was changed"
    # The model that stood at the cut-off is the one that is published on that day.
    for told in (honest, misled):
        said = told.metrics["cut_offs"][1]["intervals"]["model"]["total_ratio"][0]
        actual = (labels if told is honest else lies).filter(pl.col("as_of_date") == cut)
        total = unaware.scores["expected_value_amount"].sum()
        # Metrics are kept to six digits.
        assert said == pytest.approx(total / actual["spend_amount"].sum(), abs=1e-6)
    assert unaware.model.trained_until == str(cut)


def test_a_stored_model_gives_the_same_values_and_refuses_another_list(tmp_path, frames, result):
    path = artifacts.save(
        tmp_path / "value.skops",
        kind="lifetime_value",
        features=result.features,
        parts=result.model.as_parts(),
    )
    model = artifacts.load_model(
        path, kind="lifetime_value", features=result.features, read=ValueModel.from_parts
    )
    newest = frames[0].filter(pl.col("as_of_date") == NEWEST).sort("customer_id")
    assert model.score(newest).equals(result.scores)
    in_chunks = replace(model.method, settings=replace(QUICK, scoring_chunk_rows=37))
    assert replace(model, method=in_chunks).score(newest).equals(result.scores)
    assert are_in(model.trained_on, newest["customer_id"]).any()
    with pytest.raises(FeatureListChanged, match="missing now: visit_count"):
        artifacts.load(
            path, kind="lifetime_value", features=[f for f in result.features if f != NAMES[-1]]
        )


def test_training_may_know_some_customers_but_all_of_today_are_scored(frames):
    features, labels = (frame.filter(pl.col("customer_id") < "c00200") for frame in frames)
    newest = frames[0].filter(pl.col("as_of_date") == NEWEST)
    assert predicted(features, labels, newest=newest).scores.height == newest.height


# The season


def _levels(monthly: list[float]) -> pl.DataFrame:
    """Labelled rows of 100 customers every 28 days, spending what the floor says times a level."""
    first = NEWEST - dt.timedelta(28 * len(monthly))
    return pl.concat(
        pl.DataFrame(
            {
                "as_of_date": [first + dt.timedelta(28 * number)] * 100,
                "actual_value_amount": [10.0 * level] * 100,
                "floor_value_amount": [10.0] * 100,
                "tenure_days": [200 + 28 * number] * 100,
            }
        )
        for number, level in enumerate(monthly)
    )


def test_a_season_comes_back_a_year_later_the_more_often_it_was_seen():
    year = [1.0] * 6 + [2.0] + [1.0] * 6
    once, thrice = (Season.fit(_levels(year * times)) for times in (1, 3))
    good = NEWEST - dt.timedelta(28 * 7) + dt.timedelta(364)
    assert 1.2 < once.factor(good) < thrice.factor(good) < 2.05
    assert thrice.repeat_share > once.repeat_share == 0.5
    assert 0.8 < once.factor(good + dt.timedelta(28)) < 1.05
    assert once.factor(good - dt.timedelta(364 * 3)) == 1, "nothing is known of the year before"
    usual = once.to_usual(_levels(year)["as_of_date"])
    assert usual[650] < 0.6 < usual[0], "training sees a good month at its usual level"
    young = _levels(year).with_columns(tenure_days=pl.lit(100))
    assert Season.fit(young).factor(good) == 1, "newcomers alone have no season"


# The measures


def test_measures_agree_with_the_textbook_also_with_ties_and_drawn_customers():
    draw = np.random.default_rng(1)
    actual = np.maximum(draw.normal(-20, 40, 500), 0).round(-1)
    said = np.maximum(actual * 0.5 + draw.normal(0, 20, 500), 0).round(-1)
    times = np.stack([np.ones(500), np.bincount(draw.integers(500, size=500), minlength=500)])
    found = RankedAmounts(actual, said).measure(times)
    for number, weights in enumerate(times.astype(int)):
        came, told = np.repeat(actual, weights), np.repeat(said, weights)
        assert found["spearman"][number] == pytest.approx(spearmanr(came, told).statistic)
        assert found["rmse"][number] == pytest.approx(np.sqrt(np.mean((came - told) ** 2)))
        assert found["total_ratio"][number] == pytest.approx(told.sum() / came.sum())
    once = np.ones((1, 500))
    top = np.sort(actual)[-50:].sum() / actual.sum()
    assert RankedAmounts(actual, actual).measure(once)["top_decile_share"][0] == pytest.approx(top)
    assert RankedAmounts(actual, np.full(500, 3.0)).measure(once)["spearman"][0] == 0
    assert np.isnan(RankedAmounts(0 * actual, said).measure(once)["total_ratio"][0])
    assert tenths(np.arange(20.0)).tolist() == [10 - n // 2 for n in range(20)]
    table = tenths_table(actual, said)
    assert table["customer_count"].to_list() == [50] * 10
    assert table["actual_share"].sum() == pytest.approx(1, abs=1e-5)


# Bad input


def test_too_little_to_learn_from_is_refused_by_name(frames):
    features, labels = frames
    few = pl.col("customer_id") < "c00012"
    with pytest.raises(NotEnoughHistory, match=r"not enough history: \d+ customers, 50 needed"):
        predicted(features.filter(few), labels.filter(few))
    one = pl.col("customer_id") == features["customer_id"][0]
    with pytest.raises(NotEnoughHistory, match="1 customers, 50 needed"):
        predicted(features.filter(one), labels.filter(one))
    with pytest.raises(NotEnoughHistory, match="no snapshot with repeat buyers has 28 days after"):
        predicted(features.filter(pl.col("as_of_date") == NEWEST), labels.clear())
    with pytest.raises(NotEnoughHistory, match="at least two are needed"):
        predicted(*mart(company(), count=2))
    nothing = labels.with_columns(spend_amount=pl.lit(0.0), order_count=pl.lit(0))
    with pytest.raises(NotEnoughHistory, match="0 rows with a value above zero, 10 needed"):
        predicted(features, nothing)


def test_customers_that_are_all_alike_are_refused(frames):
    features, labels = frames
    alike = features.with_columns(pl.col(*{*READ, *NAMES}).first())
    with pytest.raises(CustomersAlike, match="customers are alike in every feature"):
        predicted(alike, labels)


def test_everybody_paying_the_same_price_is_a_subscription_and_no_mistake():
    frames = mart(company().with_columns(amount=pl.lit(9.99)))
    scores = predicted(*frames).scores
    days = frames[0].filter(pl.col("as_of_date") == NEWEST)
    price = days["spend_amount_365d"] / days["purchase_day_count_365d"]
    assert price.to_list() == pytest.approx([9.99] * days.height)
    assert scores["expected_value_amount"].is_finite().all()
    assert scores["floor_value_amount"].max() > 9.99


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_a_value_that_is_no_number_is_refused_with_its_column(frames, bad):
    features, labels = frames

    def spoiled(frame, name):
        wrong = pl.int_range(pl.len()) % 7 == 0
        return frame.with_columns(
            pl.when(wrong).then(pl.lit(bad, pl.Float64)).otherwise(pl.col(name)).alias(name)
        )

    with pytest.raises(BadFeature, match="spend_amount_28d"):
        predicted(spoiled(features, "spend_amount_28d"), labels)
    with pytest.raises(BadFeature, match="spend_amount of the labels is empty, NaN or infinite"):
        predicted(features, spoiled(labels, "spend_amount"))


def test_missing_columns_repeated_rows_and_labels_of_the_future_are_refused(frames):
    features, labels = frames
    with pytest.raises(BadFeature, match=r"features frame lacks the column.s. recency_days"):
        predicted(features.drop("recency_days"), labels)
    with pytest.raises(BadFeature, match=r"labels frame lacks the column.s. spend_amount"):
        predicted(features, labels.drop("spend_amount"))
    with pytest.raises(RepeatedCustomer, match="features frame repeats"):
        predicted(pl.concat([features, features.head(2)]), labels)
    with pytest.raises(LeakedLabel, match=r"label.s. end after 2024-12-29"):
        predicted(features, labels.with_columns(label_until_date=pl.lit(dt.date(2025, 1, 5))))


def test_a_constant_feature_does_no_harm(frames):
    features, labels = frames
    constant = features.with_columns(visit_count=pl.lit(4, pl.Int64))
    assert predicted(constant, labels).scores["expected_value_amount"].is_finite().all()
