"""Model files: the same scores after a round trip, refusal of what does not fit."""

import zipfile
from fractions import Fraction

import pytest
import skops.io
from test_ml_churn import QUICK, simulated, train_and_score

from ml import artifacts
from ml.churn import FEATURES, ChurnModel
from ml.errors import FeatureListChanged, UnreadableArtifact


@pytest.fixture(scope="module")
def churn():
    features, labels, _ = simulated(customers=200, snapshots=3)
    return features, train_and_score(features, labels, settings=QUICK).model


def test_a_churn_model_scores_the_same_after_a_round_trip(churn, tmp_path):
    features, model = churn
    path = artifacts.save(
        tmp_path / "deep" / "churn.skops", kind="churn", features=FEATURES, parts=model.as_parts()
    )
    parts = artifacts.load(path, kind="churn", features=FEATURES)
    loaded = ChurnModel.from_parts(FEATURES, parts)
    assert (loaded.score(features) == model.score(features)).all()
    assert [item.name for item in path.parent.iterdir()] == ["churn.skops"]


def test_another_feature_list_is_refused_by_name(tmp_path):
    path = artifacts.save(tmp_path / "m.skops", kind="churn", features=["a", "b"], parts={})
    with pytest.raises(FeatureListChanged, match=r"missing now: b; unknown to it: c, d"):
        artifacts.load(path, kind="churn", features=["a", "c", "d"])
    with pytest.raises(FeatureListChanged, match="another order"):
        artifacts.load(path, kind="churn", features=["b", "a"])


def test_the_parts_of_an_older_version_are_refused(tmp_path):
    path = artifacts.save(tmp_path / "m.skops", kind="churn", features=["a"], parts={"pair": 1})
    with pytest.raises(UnreadableArtifact, match=r"m\.skops .*an older version wrote it: KeyError"):
        artifacts.load_model(path, kind="churn", features=["a"], read=ChurnModel.from_parts)


def test_foreign_files_are_refused(tmp_path):
    text = tmp_path / "text.skops"
    text.write_text("not a model")
    with pytest.raises(UnreadableArtifact, match=r"text\.skops is not a model file"):
        artifacts.load(text, kind="churn", features=[])
    path = artifacts.save(tmp_path / "k.skops", kind="clusters", features=[], parts={})
    with pytest.raises(UnreadableArtifact, match="no model of kind churn"):
        artifacts.load(path, kind="churn", features=[])
    skops.io.dump({"kind": "x", "features": [], "parts": {"p": Fraction(1, 2)}}, path)
    with pytest.raises(UnreadableArtifact, match=r"not trusted: .*Fraction"):
        artifacts.load(path, kind="x", features=[])


def test_a_failed_save_leaves_the_last_good_model(tmp_path):
    path = artifacts.save(tmp_path / "m.skops", kind="k", features=["a"], parts={"n": 1})
    with pytest.raises(UnreadableArtifact, match=r"not trusted: .*Fraction"):
        artifacts.save(path, kind="k", features=["a"], parts={"n": Fraction(1, 2)})
    assert artifacts.load(path, kind="k", features=["a"]) == {"n": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["m.skops"]


def test_a_model_file_holds_no_customer(churn, tmp_path):
    _, model = churn
    path = artifacts.save(tmp_path / "m.skops", kind="k", features=FEATURES, parts=model.as_parts())
    with zipfile.ZipFile(path) as archive:
        assert not any(b"c00001" in archive.read(name) for name in archive.namelist())
