"""What is learned of each field, and how it is kept as text to review.

Here belong the levels with their probabilities, and refusing declarations and kept parameters that
do not fit what is compared. Learning them belongs to `ml.matching_estimation`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.errors import MatchingError
from ml.matching_fields import KINDS, Field, levels

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True)
class FieldParameters:
    """One field's levels with their probabilities: in one person, by chance, in a home, a town."""

    name: str
    kind: str
    levels: tuple[str, ...]
    m: tuple[float, ...]
    u: tuple[float, ...]
    home: tuple[float, ...] | None
    town: tuple[float, ...] | None


def checked_fields(fields: Mapping[str, str]) -> list[Field]:
    """Return the declared fields.

    Raises:
        MatchingError: there are none, or a name or kind is none.

    """
    if not fields:
        raise MatchingError("no field is declared")
    for name, kind in fields.items():
        if not _NAME.fullmatch(name):
            raise MatchingError(f"{name!r} is no field name: lower case letters, digits and _")
        if kind not in KINDS:
            raise MatchingError(f"{name}: {kind!r} is no kind; kinds are {', '.join(KINDS)}")
    return [Field(name, kind) for name, kind in fields.items()]


def refuse_other_levels(parameters: Sequence[FieldParameters]) -> None:
    """Refuse parameters whose levels are no longer those that are compared."""
    declared = checked_fields({f.name: f.kind for f in parameters})
    for f, field_ in zip(parameters, declared, strict=True):
        if f.levels != tuple(level.name for level in levels(field_, declared)):
            raise MatchingError(f"{f.name} was learned with other levels of agreement: train again")


def as_levels(f: FieldParameters) -> dict[str, Any]:
    """Return a field as it is kept, with the weight of each level (log2) to read."""
    rows = [
        {
            "level": level,
            "m": f.m[i],
            "u": f.u[i],
            "home": f.home[i] if f.home else None,
            "town": f.town[i] if f.town else None,
            "weight": round(math.log2(f.m[i] / f.u[i]), 2),
        }
        for i, level in enumerate(f.levels)
    ]
    return {"field": f.name, "kind": f.kind, "levels": rows}


def from_levels(entry: Mapping[str, Any]) -> FieldParameters:
    """Read what `as_levels` kept."""
    rows = entry["levels"]
    return FieldParameters(
        name=entry["field"],
        kind=entry["kind"],
        levels=tuple(row["level"] for row in rows),
        m=tuple(row["m"] for row in rows),
        u=tuple(row["u"] for row in rows),
        home=None if rows[0]["home"] is None else tuple(row["home"] for row in rows),
        town=None if rows[0]["town"] is None else tuple(row["town"] for row in rows),
    )
