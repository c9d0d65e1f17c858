"""The written policy of the features: what stands in for an empty value, what tames a large one.

Here belong the meaning of the policy (`features.yml`, read by whoever has files) and its use on a
frame. Not the features themselves (dbt makes them) and not which of them a model reads (the model
says so).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from ml.errors import BadFeature

OUTLIER_RULES = ("log", "bounded", "category")


class PolicyError(ValueError):
    """`features.yml` cannot be followed; the message names the feature and what is wrong."""


@dataclass(frozen=True)
class FeaturePolicy:
    """What is written of one feature.

    `stand_in` is None where an empty value may not be: `missing` says whether there is none by
    contract ("never") or none that could be used ("unusable").
    """

    name: str
    unit: str
    window: str
    source_columns: tuple[str, ...]
    missing: Literal["never", "unusable", "filled"]
    stand_in: str | float | None
    because: str
    outliers: str

    @property
    def is_category(self) -> bool:
        """Whether its values are names, even where they are written as numbers."""
        return self.outliers == "category"


def read_policies(document: Mapping[str, Any]) -> dict[str, FeaturePolicy]:
    """Read the parsed `features.yml`: one policy for each column, in the order of the file.

    Raises:
        PolicyError: an entry is incomplete, repeated, or names a rule that there is not.

    """
    policies: dict[str, FeaturePolicy] = {}
    for entry in document["features"]:
        windows = entry.get("windows", ["all history"])
        for window in windows if "{window}" in entry["name"] else [", ".join(windows)]:
            policy = _policy(entry, window)
            if policy.name in policies:
                raise PolicyError(f"features.yml: {policy.name} is there twice; take one away")
            policies[policy.name] = policy
    for policy in policies.values():
        if policy.is_category or not isinstance(policy.stand_in, str):
            continue
        if policy.stand_in not in policies:
            raise PolicyError(
                f"features.yml: {policy.stand_in}, which stands in for {policy.name}, is no feature"
            )
    return policies


def needed_policies(
    policies: Mapping[str, FeaturePolicy], names: Sequence[str]
) -> dict[str, FeaturePolicy]:
    """Return the policies of the names and of what stands in for them."""
    needed: dict[str, FeaturePolicy] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in needed:
            needed[name] = policies[name]
            if isinstance(policies[name].stand_in, str) and not policies[name].is_category:
                waiting.append(policies[name].stand_in)
    return needed


def policies_as_parts(policies: Mapping[str, FeaturePolicy]) -> list[dict[str, Any]]:
    """Return what `ml.artifacts.save` stores of the policies that a model was trained under."""
    return [
        asdict(policy) | {"source_columns": list(policy.source_columns)}
        for policy in policies.values()
    ]


def policies_from_parts(parts: Iterable[Mapping[str, Any]]) -> dict[str, FeaturePolicy]:
    """Rebuild the policies from their parts."""
    return {
        one["name"]: FeaturePolicy(**{**one, "source_columns": tuple(one["source_columns"])})
        for one in parts
    }


def filled(
    frame: pl.DataFrame, names: Sequence[str], policies: Mapping[str, FeaturePolicy]
) -> pl.DataFrame:
    """Return `frame` with the empty values of `names` filled as the policy says.

    Raises:
        BadFeature: a column is absent, is empty without anything that may stand in, or holds NaN
            or infinity, which no policy covers.

    """
    unknown = [name for name in names if name not in policies]
    if unknown:
        raise BadFeature(f"features.yml has no policy for {', '.join(unknown)}")
    ordered = _in_order(names, policies)
    absent = [name for name in ordered if name not in frame.columns]
    if absent:
        raise BadFeature(f"no such column: {', '.join(absent)}")
    for name in ordered:
        policy = policies[name]
        column = frame[name]
        if column.dtype.is_float() and (~column.is_finite()).any():
            raise BadFeature(f"{name} holds NaN or infinity, which no policy covers")
        if not column.null_count():
            continue
        if policy.stand_in is None:
            raise BadFeature(
                f"{name} is empty in {column.null_count()} row(s), and features.yml names nothing "
                f"that may stand in for it ({policy.missing})"
            )
        by_column = isinstance(policy.stand_in, str) and not policy.is_category
        stand_in = pl.col(policy.stand_in) if by_column else pl.lit(policy.stand_in)
        frame = frame.with_columns(pl.col(name).fill_null(stand_in))
    return frame


def _in_order(names: Iterable[str], policies: Mapping[str, FeaturePolicy]) -> list[str]:
    """The names and the columns that stand in for them, each after what stands in for it."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        policy = policies[name]
        if isinstance(policy.stand_in, str) and not policy.is_category:
            visit(policy.stand_in)
        if name not in ordered:
            ordered.append(name)

    for name in names:
        visit(name)
    return ordered


def _policy(entry: Mapping[str, Any], window: str) -> FeaturePolicy:
    name = entry["name"].replace("{window}", window)
    try:
        missing, outliers = entry["missing"], entry["outliers"]
        if outliers not in OUTLIER_RULES:
            raise PolicyError(
                f"features.yml: {name} has outliers: {outliers!r}; write one of "
                + ", ".join(OUTLIER_RULES)
            )
        if isinstance(missing, str) and missing not in ("never", "unusable"):
            raise PolicyError(
                f"features.yml: {name} has missing: {missing!r}; write never, unusable, or what "
                "stands in for it: {as: …, because: …}"
            )
        has_stand_in = isinstance(missing, Mapping)
        return FeaturePolicy(
            name=name,
            unit=entry["unit"],
            window=_window(window),
            source_columns=tuple(entry["from"]),
            missing="filled" if has_stand_in else missing,
            stand_in=missing["as"] if has_stand_in else None,
            because=missing["because"] if has_stand_in else "",
            outliers=outliers,
        )
    except KeyError as error:
        raise PolicyError(f"features.yml: {name} has no {error.args[0]!r}; add it") from None


def _window(window: str) -> str:
    """`90d` in words."""
    days = window.removeprefix("prior_").removesuffix("d")
    if not days.isdigit():
        return window
    return f"{days} days before the last {days}" if window.startswith("prior_") else f"{days} days"
