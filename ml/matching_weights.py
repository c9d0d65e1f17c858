"""What a pair of one home or one town is worth, as SQL over the scores of Splink.

Here belong how likely the third and the fourth class make a pair, and the words for its evidence.
The classes are those of `ml.matching_estimation`; Splink knows two of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ml.matching_families import namesakes_sql
from ml.matching_fields import MEASURED, PERSONAL, PLACES, WAYS_TO_WRITE
from ml.matching_parameters import FieldParameters

# Share of the pairs of one home in which a child bears a parent's name, whatever the name.
SAME_NAME_GIVEN = 0.0005


def at_home(fields: Sequence[FieldParameters], odds: float, namesakes: Mapping[str, float]) -> str:
    """SQL of how many times as likely as by chance a pair is two people of one home.

    `odds` are those before anything is compared (see `ml.matching_estimation`).
    """
    if odds <= 0:
        return "0"
    terms = []
    for f in fields:
        cases = []
        for i, (u, home) in enumerate(zip(f.u, f.home, strict=True)):
            weight = repr(math.log2(home / u))
            # A name in another order is the same name, though the engine knows no rarity of it.
            ways = 0 if f.kind in MEASURED else WAYS_TO_WRITE["name"] if f.kind == "name" else 1
            same = i < ways
            if same and home > u:
                # A rare name is rare by chance, but its rarity says nothing against a family.
                shared = (home - u) / (1 - u)
                by_chance = repr((home - shared) / u)
                if f.kind in PERSONAL:
                    # A person's own: people of one home who share it mostly do so by chance.
                    # Which of the namesakes learned were named so is not known: asking whether
                    # two are one costs less than joining them, so chance takes all.
                    shared = min(shared, SAME_NAME_GIVEN)
                    by_chance = repr(home / u)
                rarity = f"pow(2, mw_tf_adj_{f.name})" if i == 0 else "1"
                if f.kind == "name":
                    # They share the family's word, so the chance is that of the given name.
                    in_family = f"coalesce(greatest({f.name}_l.family, {f.name}_r.family), 1)"
                    by_chance = f"{by_chance} * {in_family} * {rarity}"
                weight = f"log2({shared / u!r} * {rarity} + {by_chance})"
                if f.kind == "name":
                    weight += f" + log2({namesakes_sql(namesakes)})"
            cases.append(f"WHEN {len(f.u) - 1 - i} THEN {weight}")
        terms.append(f"CASE gamma_{f.name} {' '.join(cases)} ELSE 0 END")
    return f"{odds!r} * pow(2, {' + '.join(terms)})"


def in_town(fields: Sequence[FieldParameters], odds: float) -> str:
    """SQL of how many times as likely as by chance a pair is two strangers of one town.

    How rare the town is says nothing of it: it has as few neighbours as it has pairs by chance.
    """
    terms = []
    for f in fields:
        if f.kind in PLACES and f.town:
            ratios = [town / u for town, u in zip(f.town, f.u, strict=True)]
            cases = [f"WHEN {len(ratios) - 1 - i} THEN {r!r}" for i, r in enumerate(ratios)]
            terms.append(f" * CASE gamma_{f.name} {' '.join(cases)} ELSE 1 END")
    return f"{odds!r}{''.join(terms)}"


def family_frequencies(fields: Sequence[FieldParameters]) -> str:
    """SQL that joins how frequent a name is among those who bear the family's word of it."""
    return " ".join(
        f"LEFT JOIN dsegment_frequency_{f.name} AS {f.name}_{side}"
        f" ON {f.name}_{side}.{f.name}_key = {side}.{f.name}_key"
        for f in fields
        if f.kind == "name"
        for side in "lr"
    )


def evidence(fields: Sequence[FieldParameters]) -> str:
    """SQL of which fields agree and how, without values."""
    said = []
    for f in fields:
        if f.kind in MEASURED:
            continue
        last = len(f.levels) - 1
        cases = " ".join(
            f"WHEN {last - i} THEN '{f.name} {_quoted(level)}'"
            for i, level in enumerate(f.levels[:-1])
        )
        said.append(f"CASE gamma_{f.name} {cases} END")
    return f"concat_ws('; ', {', '.join(said)})"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
