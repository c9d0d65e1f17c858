"""Champion and challenger: beyond noise or not at all, never on labels already seen, and back."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from ml.amount_judgement import RankedAmounts
from ml.champion import (
    RUN_COLUMNS,
    Contest,
    Decision,
    champion_of,
    crown,
    decide,
    let_go,
    roll_back,
)
from ml.errors import ModelRefused, NotEnoughHistory, UnreadableArtifact
from ml.recommendation_model import RecallOfKinds

DAY = dt.date(2026, 5, 31)


@dataclass(frozen=True)
class Oracle:
    """Knows the chance up to noise in the log odds."""

    noise: float
    trained_until: str = "2026-05-31"
    twin: "Oracle | None" = None
    bias: float = 0.0

    def score(self, frame):
        odds = np.log(frame["chance"] / (1 - frame["chance"])).to_numpy()
        noise = np.random.default_rng(int(100 * self.noise)).normal(0, self.noise, len(odds))
        return 1 / (1 + np.exp(-odds - noise - self.bias))


def holdout(customers: int = 3000, seed: int = 4) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    chance = draw.beta(1, 3, customers).clip(0.001, 0.999)
    return pl.DataFrame(
        {
            "customer_id": [f"c{number:05d}" for number in range(customers)],
            "chance": chance,
            "is_churned": draw.random(customers) < chance,
        }
    )


def decided(champion, challenger, rows=None, **options):
    rows = holdout() if rows is None else rows
    outcome = rows["is_churned"].cast(pl.Int8).to_numpy()
    contest = Contest(DAY, rows["customer_id"], outcome, lambda model: model.score(rows), seed=1)
    return decide(champion, challenger, contest, **options)


def test_only_what_is_better_beyond_noise_takes_over():
    better = decided(Oracle(1.0), Oracle(0.1))
    assert better.is_promoted
    assert better.reason.startswith("better beyond noise: gain in brier +0.0")
    assert better.gains["brier"][1] > 0
    assert decided(Oracle(0.1), Oracle(1.0)).outcome == "kept"
    alike = decided(Oracle(0.3), Oracle(0.3))
    assert (alike.outcome, alike.gains["brier"]) == ("kept", (0, 0, 0))
    assert alike.reason.endswith("gain in brier +0.00000 (+0.00000 to +0.00000)")
    few = decided(Oracle(0.5), Oracle(0.35), holdout(60))
    assert few.outcome == "kept"
    assert "not better beyond noise" in few.reason


def test_a_fresh_draw_of_noise_hardly_ever_takes_over():
    taken = [
        decided(Oracle(0.5), Oracle(0.5001 + seed / 100), holdout(400, seed)).is_promoted
        for seed in range(1, 30)
    ]
    assert sum(taken) <= 4


def test_better_calibration_must_not_cost_ranking():
    crooked = Oracle(0.0, bias=1.5)
    kept = decided(crooked, Oracle(0.8))
    assert kept.gains["brier"][1] > 0
    assert kept.outcome == "kept"
    assert "worse in roc_auc" in kept.reason


def test_who_has_seen_the_holdout_sends_its_twin_or_is_not_compared():
    late = "2026-06-28"
    knowing = Oracle(0.0, trained_until=late)
    assert decided(knowing, Oracle(0.1)).outcome == "not_comparable"
    assert "trained on labels that end after 2026-05-31" in decided(Oracle(1.0), knowing).reason
    refit = Oracle(0.0, trained_until=late, twin=Oracle(1.0))
    assert decided(refit, Oracle(0.1)).is_promoted


def test_the_first_and_the_one_that_fits_the_data_serve():
    assert decided(None, Oracle(1.0)).reason == "there is no champion yet"
    unread = decided(UnreadableArtifact("m.skops is not a model file"), Oracle(1.0))
    assert unread.is_promoted
    reason = "the champion cannot score today's data: m.skops is not a model file"
    assert unread.reason == reason


def test_a_pinned_champion_stays():
    assert decided(Oracle(1.0), Oracle(0.0), is_pinned=True).outcome == "pinned"


def test_a_holdout_of_one_outcome_decides_nothing():
    same = holdout().with_columns(is_churned=pl.lit(False))
    told = decided(Oracle(1.0), Oracle(0.1), same)
    assert told.outcome == "not_comparable"
    assert told.reason.startswith("the holdout says nothing of roc_auc and pr_auc")


def test_amounts_and_lists_have_measures_of_their_own():
    draw = np.random.default_rng(2)
    truth = draw.gamma(1.0, 50.0, 2000)
    ids = pl.Series([f"c{number}" for number in range(2000)])
    noisy = {noise: truth * draw.lognormal(0, noise, 2000) for noise in (0.2, 0.8)}

    def amounts(champion, challenger):
        models = [Oracle(champion), Oracle(challenger)]
        contest = Contest(DAY, ids, truth, lambda model: noisy[model.noise], 1, RankedAmounts)
        return decide(*models, contest)

    better = amounts(0.8, 0.2)
    assert (better.outcome, better.reason[:33]) == ("promoted", "better beyond noise: gain in rmse")
    assert amounts(0.2, 0.8).outcome == "kept"

    recalls = {0.2: np.array([0.6, 0.1]), 0.8: np.array([0.4, 0.15])}  # of repeats, of first buys
    kinds = np.repeat([0, 1], 1000)

    def lists(champion, challenger):
        def says(model):
            one = np.where(draw.random(2000) < recalls[model.noise][kinds], 1.0, 0.0)
            return np.where(np.arange(2000) % 7 == 0, np.nan, one)

        contest = Contest(DAY, pl.concat([ids[:1000]] * 2), kinds, says, 1, RecallOfKinds)
        return decide(Oracle(champion), Oracle(challenger), contest)

    worse = lists(0.8, 0.2)
    assert worse.gains["recall"][1] > 0
    assert (worse.outcome, "worse in cross_sell_recall" in worse.reason) == ("kept", True)
    recalls[0.8][1] = 0.1
    assert lists(0.8, 0.2).is_promoted


def runs(*names: str) -> pl.DataFrame:
    count = len(names)
    return pl.DataFrame(
        {
            "model_run_id": list(names),
            "model_name": ["churn"] * (count - 1) + ["clusters"],
            "is_champion": [False] * (count - 1) + [True],
            "is_pinned": [False] * count,
            "decision": [None] * count,
            "followed_run_id": [None] * count,
        },
        schema_overrides=RUN_COLUMNS,
    )


def test_the_crown_passes_on_and_back():
    up = Decision("promoted", "better")
    table = crown(runs("a", "b", "c", "other"), "churn", "a", up)
    table = crown(table, "churn", "b", Decision("kept", "not better"))
    assert champion_of(table, "churn") == "a"
    table = crown(table, "churn", "c", up)
    assert champion_of(table, "churn") == "c"
    assert table["decision"].to_list() == ["better", "not better", "better", None]

    back = roll_back(table, "churn")
    assert champion_of(back, "churn") == "a"
    assert champion_of(back, "clusters") == "other"
    assert back.filter("is_pinned")["model_run_id"].to_list() == ["a"]
    assert not let_go(back, "churn")["is_pinned"].any()
    assert champion_of(roll_back(table, "churn", to="b"), "churn") == "b"
    with pytest.raises(NotEnoughHistory, match="no champion of churn before a to go back to"):
        roll_back(back, "churn")
    with pytest.raises(NotEnoughHistory, match="no run z of churn to go back to, only a, b, c"):
        roll_back(table, "churn", to="z")
    two = table.with_columns(is_champion=pl.lit(True))
    with pytest.raises(ModelRefused, match="3 runs of churn claim"):
        champion_of(two, "churn")
