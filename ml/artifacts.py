"""Model files: the one module of `ml` that touches the disk.

Here belong saving and loading with skops, which, unlike pickle, runs no code from the file. Types
outside those that skops trusts by itself are listed here one by one; a file that asks for any other
is refused. What a model consists of is its own module's business (`as_parts`, `from_parts`).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ml.errors import FeatureListChanged, UnreadableArtifact

Model = TypeVar("Model")
TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


def save(path: Path, *, kind: str, features: Sequence[str], parts: Mapping[str, Any]) -> Path:
    """Write a model whole or not at all; a reader sees the old file or the new one."""
    import skops.io

    content = skops.io.dumps({"kind": kind, "features": list(features), "parts": dict(parts)})
    # A model that could not be loaded again must not take the place of one that can.
    _refuse_untrusted(path.name, skops.io.get_untrusted_types(data=content))
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within one file system.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    return path


def load(path: Path, *, kind: str, features: Sequence[str]) -> dict[str, Any]:
    """Return the parts of a model of this kind, if it was trained on exactly these features.

    Raises:
        ModelRefused: the file is gone, is no such model, or was trained on other features.

    """
    import skops.io

    if not path.exists():
        raise UnreadableArtifact(f"{path.name} is not there any more")
    try:
        unknown = skops.io.get_untrusted_types(file=path)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UnreadableArtifact(f"{path.name} is not a model file: {error}") from error
    _refuse_untrusted(path.name, unknown)
    content = skops.io.load(path, trusted=list(TRUSTED_TYPES))
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise UnreadableArtifact(f"{path.name} holds no model of kind {kind}")
    _refuse_other_features(path.name, content["features"], list(features))
    return content["parts"]


def load_model(
    path: Path,
    *,
    kind: str,
    features: Sequence[str],
    read: Callable[[Sequence[str], dict[str, Any]], Model],
) -> Model:
    """Return what `read` makes of the features and parts of a model file.

    Raises:
        ModelRefused: as `load`, or the parts are those of an older version of the program.

    """
    parts = load(path, kind=kind, features=features)
    try:
        return read(features, parts)
    except (KeyError, TypeError) as error:
        raise UnreadableArtifact(
            f"{path.name} holds a model of kind {kind} as an older version wrote it: {error!r}"
        ) from error


def _refuse_untrusted(name: str, types: Sequence[str]) -> None:
    unknown = sorted(set(types) - set(TRUSTED_TYPES))
    if unknown:
        raise UnreadableArtifact(f"{name} asks for type(s) not trusted: {', '.join(unknown)}")


def _refuse_other_features(name: str, trained: list[str], offered: list[str]) -> None:
    if trained == offered:
        return
    gone = [feature for feature in trained if feature not in offered]
    new = [feature for feature in offered if feature not in trained]
    differences = [
        *([f"missing now: {', '.join(gone)}"] if gone else []),
        *([f"unknown to it: {', '.join(new)}"] if new else []),
    ] or ["the same features in another order"]
    raise FeatureListChanged(
        f"{name} was trained on {len(trained)} features, {len(offered)} were offered; "
        + "; ".join(differences)
        + ". Train it again."
    )
