"""Champion and challenger: beyond noise or not at all, never on labels already seen, and back."""

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from test_ml_churn import QUICK, simulated, train_and_score

from ml import artifacts
from ml.champion import (
    RUN_COLUMNS,
    Decision,
    champion_of,
    crown,
    decide,
    let_go,
    roll_back,
)
from ml.churn import FEATURES, ChurnModel
from ml.churn_serving import serve
from ml.errors import FeatureListChanged, ModelRefused, NotEnoughHistory, UnreadableArtifact
from ml.model_runs import ModelRun

DAY = dt.date(2026, 5, 31)
RUN_SCHEMA = {
    "model_run_id": pl.String,
    "model_name": pl.String,
    "as_of_date": pl.Date,
    "data_version": pl.String,
    "features": pl.String,
    "parameters": pl.String,
    "metrics": pl.String,
    "artifact_path": pl.String,
} | RUN_COLUMNS


@dataclass(frozen=True)
class Oracle:
    """Knows the chance up to noise in the log odds."""

    noise: float
    trained_until: str = "2026-05-31"
    features: tuple[str, ...] = ("chance",)
    twin: "Oracle | None" = None
    bias: float = 0.0

    def score(self, frame):
        odds = np.log(frame["chance"] / (1 - frame["chance"])).to_numpy()
        noise = np.random.default_rng(int(100 * self.noise)).normal(0, self.noise, len(odds))
        return 1 / (1 + np.exp(-odds - noise - self.bias))

    def standing_at(self, day):
        return next((m for m in (self, self.twin) if m and m.trained_until <= str(day)), None)

    def refuse_other_features(self, offered):
        if set(offered) != set(self.features):
            raise FeatureListChanged("other features")


def holdout(customers: int = 3000, seed: int = 4) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    chance = draw.beta(1, 3, customers).clip(0.001, 0.999)
    return pl.DataFrame(
        {
            "customer_id": [f"c{number:05d}" for number in range(customers)],
            "as_of_date": [DAY] * customers,
            "chance": chance,
            "is_churned": draw.random(customers) < chance,
        }
    )


def decided(champion, challenger, rows=None, **options):
    rows = holdout() if rows is None else rows
    return decide(champion, challenger, rows, features=("chance",), seed=1, **options)


def test_only_what_is_better_beyond_noise_takes_over():
    better = decided(Oracle(1.0), Oracle(0.1))
    assert better.is_promoted
    assert better.reason.startswith("better beyond noise: gain in brier +0.0")
    assert better.gains["brier"][1] > 0
    assert decided(Oracle(0.1), Oracle(1.0)).outcome == "kept"
    alike = decided(Oracle(0.3), Oracle(0.3))
    assert (alike.outcome, alike.gains["brier"]) == ("kept", (0, 0, 0))
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
    old = replace(Oracle(0.0), features=("chance", "gone"))
    assert "cannot score today's data" in decided(old, Oracle(1.0)).reason
    unread = decided(UnreadableArtifact("m.skops is not a model file"), Oracle(1.0))
    assert unread.is_promoted
    assert "m.skops is not a model file" in unread.reason
    with pytest.raises(FeatureListChanged):
        decided(Oracle(0.0), old)


def test_a_pinned_champion_stays():
    assert decided(Oracle(1.0), Oracle(0.0), is_pinned=True).outcome == "pinned"


def test_one_snapshot_of_both_outcomes_is_needed():
    rows = holdout()
    same = rows.with_columns(is_churned=pl.lit(False))
    assert decided(Oracle(1.0), Oracle(0.1), same).outcome == "not_comparable"
    two = pl.concat([rows, rows.with_columns(as_of_date=DAY - dt.timedelta(28))])
    assert "2 were given" in decided(Oracle(1.0), Oracle(0.1), two).reason


def test_churn_models_compare_by_their_twins_also_after_a_round_trip(tmp_path):
    features, labels, _ = simulated()
    result = train_and_score(features, labels, settings=QUICK)
    path = artifacts.save(
        tmp_path / "m.skops", kind="churn", features=FEATURES, parts=result.model.as_parts()
    )
    stored = ChurnModel.from_parts(FEATURES, artifacts.load(path, kind="churn", features=FEATURES))
    assert (stored.twin.score(features) == result.model.twin.score(features)).all()
    again = decide(stored, result.model, result.holdout, features=FEATURES, seed=1)
    assert (again.outcome, again.gains["brier"]) == ("kept", (0, 0, 0))
    weak = train_and_score(
        features.with_columns(pl.lit(3.0).alias(name) for name in FEATURES if "order" not in name),
        labels,
        settings=QUICK,
    ).model
    assert decide(weak, result.model, result.holdout, features=FEATURES, seed=1).is_promoted
    with pytest.raises(FeatureListChanged, match=r"unknown to it: shoe_size\. Train it again"):
        stored.refuse_other_features((*FEATURES, "shoe_size"))


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
    with pytest.raises(NotEnoughHistory, match="no run z of churn"):
        roll_back(table, "churn", to="z")
    two = table.with_columns(is_champion=pl.lit(True))
    with pytest.raises(ModelRefused, match="3 runs of churn claim"):
        champion_of(two, "churn")


def test_who_serves_scores_today_and_every_run_is_told_of(tmp_path):
    features, labels, _ = simulated()
    first = train_and_score(features, labels, settings=QUICK)
    newest = features.filter(pl.col("as_of_date") == first.as_of_date)
    runs = pl.DataFrame(schema=RUN_SCHEMA)
    files = {}

    def run_of(result, name):
        files[name] = result.model
        return ModelRun("run_" + name, "churn", result.as_of_date, name, FEATURES, {}, {}, name)

    served = serve(first, run_of(first, "a"), runs, newest, files.__getitem__)
    assert (served.model_run_id, served.decision.outcome) == ("run_a", "promoted")
    again = serve(first, run_of(first, "b"), served.runs, newest, files.__getitem__)
    assert (again.model_run_id, again.decision.outcome) == ("run_a", "kept")
    assert again.scores.equals(first.scores)
    assert again.runs.select("model_run_id", "is_champion").rows() == [
        ("run_a", True),
        ("run_b", False),
    ]
    same = serve(first, run_of(first, "a"), again.runs, newest, files.__getitem__)
    assert same.model_run_id == champion_of(same.runs, "churn") == "run_a"

    def gone(path):
        raise UnreadableArtifact(f"{path} is not there any more")

    replaced = serve(first, run_of(first, "c"), same.runs, newest, gone)
    assert replaced.model_run_id == "run_c"
    assert "a is not there any more" in replaced.reason
    back = roll_back(replaced.runs, "churn")
    assert serve(first, run_of(first, "d"), back, newest, files.__getitem__).model_run_id == "run_a"
