"""What is known of each field before learning: how its levels fall by chance.

Here belong drawing random pairs of records and counting equal values. What is learned from it
belongs to `ml.matching_estimation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ml.matching_blocking import Connection
from ml.matching_estimation import FieldFacts
from ml.matching_fields import JOINING, MEASURED, PERSONAL, PLACES, WAYS_TO_WRITE, Field, Level
from ml.matching_splink import patterns_of


class DrawingSettings(Protocol):
    """The part of the settings that is about random pairs."""

    seed: int
    random_pairs: int


def facts_of(
    connection: Connection,
    fields: Sequence[Field],
    spec: Mapping[str, Sequence[Level]],
    records: int,
    settings: DrawingSettings,
) -> list[FieldFacts]:
    """Return what is known of each field before learning: how its levels fall by chance.

    The records are put in a seeded random order, and each is paired with those that follow it.
    How often values are equal is counted, not drawn: a sample has too few equal birth dates.
    """
    following = min(max(settings.random_pairs // records, 1), (records - 1) // 2)
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE dsegment_drawn AS
        WITH shuffled AS (
            SELECT unique_id,
                   row_number() OVER (ORDER BY hash(record_id || '{settings.seed}'), unique_id) - 1
                       AS place
            FROM dsegment_records
        ),
        before AS (
            SELECT unique_id, (place + ahead) % {records} AS place
            FROM shuffled CROSS JOIN range(1, {following + 1}) AS step(ahead)
        )
        SELECT '0' AS match_key, FALSE AS is_known,
               least(l.unique_id, r.unique_id) AS join_key_l,
               greatest(l.unique_id, r.unique_id) AS join_key_r
        FROM before AS l JOIN shuffled AS r ON l.place = r.place
        """
    )
    sample = patterns_of(connection, fields, spec, "dsegment_drawn")
    connection.execute("DROP TABLE dsegment_drawn")
    facts = []
    for i, f in enumerate(fields):
        size = len(spec[f.name])
        there = sample.level[:, i] >= 0
        counts = np.bincount(sample.level[there, i], weights=sample.pairs[there], minlength=size)
        # `exact` compares one of these two columns; equal values are counted over all records.
        column = f"{f.name}_text" if f"{f.name}_text_l" in spec[f.name][0].sql else f"{f.name}_alt"
        ((equal, filled),) = connection.execute(
            f"SELECT sum(n * (n - 1) / 2), sum(n) FROM"
            f" (SELECT count({column}) AS n FROM dsegment_records GROUP BY {column})"
        ).fetchall()
        pairs = filled * (filled - 1) / 2
        exact = equal / pairs if pairs else 0.0
        if f.kind in MEASURED:
            exact = (counts[0] + 0.5) / (counts.sum() + 0.5 * size)  # no level of it is equality
        others = counts[1:] + np.full(size - 1, 0.5)
        family = None
        if f.kind == "name":
            shared = _of_one_family(connection, f, i, size)
            # As uncertain as the sample: half a pair more in every level.
            family = np.concatenate([[exact], (shared[1:] + 0.5) * (1 - exact) / others.sum()])
        facts.append(
            FieldFacts(
                drawn=np.concatenate([[exact], (1 - exact) * others / others.sum()]),
                pairs=float(pairs),
                family=family,
                m_start=np.array([level.m for level in spec[f.name]]),
                home_start=np.array([level.home for level in spec[f.name]]),
                is_own=f.kind in PERSONAL,
                is_place=f.kind in PLACES,
                # Of known pairs both records have what is measured of their one person.
                is_key=f.kind in JOINING | MEASURED,
                ways=len(spec[f.name][: WAYS_TO_WRITE.get(f.kind, 0)]),
            )
        )
    return facts


def _of_one_family(connection: Connection, f: Field, number: int, size: int) -> np.ndarray:
    """Count the levels of the drawn pairs whose names share a word that may be a family's."""
    counted = connection.execute(
        f"""
        SELECT level_{number}, count(*) FROM dsegment_seen
        JOIN dsegment_records AS l ON l.unique_id = unique_id_l
        JOIN dsegment_records AS r ON r.unique_id = unique_id_r
        WHERE level_{number} >= 0 AND list_has_any(l.{f.name}_family, r.{f.name}_family)
        GROUP BY ALL
        """
    ).fetchall()
    counts = np.zeros(size)
    for level, pairs in counted:
        counts[level] = pairs
    return counts
