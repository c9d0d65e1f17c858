"""How rare a value is: term frequencies, learned once and frozen.

Here belong counting them and showing them to Splink. What they are worth within a family belongs to
`ml.matching_weights`. They are keyed by what the caller gave as `<field>_key`, or else by the value
itself: then they are personal and stay where the records are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ml.matching_blocking import Connection
from ml.matching_estimation import Patterns
from ml.matching_fields import MEASURED, Field


def term_frequencies_of(
    connection: Connection, fields: Sequence[Field], patterns: Patterns, probability: np.ndarray
) -> pl.DataFrame:
    """Return field, key, frequency, family: how rare a value is, and a name within a family.

    `frequency` is the chance that somebody else has the value. It counts people and not records: a
    rare name with four records of one person is still a rare name. Of the pairs of records with an
    equal value those that match are taken off, and what is left says how many people there are.

    `family`, of names only, is how many times as probable as others of its script the name is for
    somebody who bears the family's word of it: a given name of the fashion more, a rare one less.
    """
    # Whole millionths, since sums of fractions depend on how the engine splits them.
    judged = pl.DataFrame(
        {
            **{f"level_{i}": patterns.level[:, i] for i, _ in enumerate(fields)},
            "is_known": patterns.known,
            "millionths": np.rint(1e6 * probability).astype(np.int64),
        }
    )
    connection.register("dsegment_judged", judged)
    parts = [
        f"""
        SELECT '{f.name}' AS field, key, people, coalesce(matched, 0) / 1e6 AS matched
        FROM (
            SELECT {f.name}_key AS key, count(DISTINCT coalesce(known_group, record_id)) AS people
            FROM dsegment_records WHERE {f.name}_key IS NOT NULL GROUP BY ALL
        )
        LEFT JOIN (
            SELECT key, sum(millionths) AS matched FROM (
                SELECT l.{f.name}_key AS key, max(millionths) AS millionths
                FROM dsegment_seen
                NATURAL JOIN dsegment_judged
                JOIN dsegment_records AS l ON l.unique_id = unique_id_l
                JOIN dsegment_records AS r ON r.unique_id = unique_id_r
                WHERE l.{f.name}_key = r.{f.name}_key AND NOT is_known AND millionths > 0
                GROUP BY key, coalesce(l.known_group, l.record_id),
                         coalesce(r.known_group, r.record_id)
            ) GROUP BY ALL
        ) USING (key)
        """
        for f in fields
        if f.kind not in MEASURED
    ]
    counted = connection.sql(" UNION ALL ".join(parts) + " ORDER BY field, key").pl()
    connection.unregister("dsegment_judged")
    strangers = (pl.col("people") * (pl.col("people") - 1) / 2 - pl.col("matched")).clip(0)
    return (
        counted.with_columns(people=(1 + (1 + 8 * strangers).sqrt()) / 2)
        .join(_given_names(connection, fields), on=["field", "key"], how="left")
        .sort("field", "key")
        .with_columns(
            frequency=pl.col("people") / pl.col("people").sum().over("field"),
            mean=(pl.col("people") * pl.col("given")).sum().over("field")
            / pl.col("people").sum().over("field"),
        )
        .select("field", "key", "frequency", family=pl.col("given") / pl.col("mean"))
    )


def _given_names(connection: Connection, fields: Sequence[Field]) -> pl.DataFrame:
    """Return field, key, given: the share of people of the script who bear the rest of a name.

    Where the family's word is not known, the more frequent rest counts.
    """
    parts = [
        f"""
        SELECT '{f.name}' AS field, key, max(bearers / people) AS given
        FROM (
            SELECT DISTINCT {f.name}_key AS key, {f.name}_alt BETWEEN 'A' AND 'T' AS is_hangul,
                   unnest({f.name}_given) AS given
            FROM dsegment_records
        )
        JOIN (
            SELECT is_hangul, given, count(DISTINCT person) AS bearers FROM (
                SELECT {f.name}_alt BETWEEN 'A' AND 'T' AS is_hangul,
                       unnest({f.name}_given) AS given, coalesce(known_group, record_id) AS person
                FROM dsegment_records
            ) GROUP BY ALL
        ) USING (is_hangul, given)
        JOIN (
            SELECT {f.name}_alt BETWEEN 'A' AND 'T' AS is_hangul,
                   count(DISTINCT coalesce(known_group, record_id)) AS people
            FROM dsegment_records GROUP BY ALL
        ) USING (is_hangul)
        WHERE given <> ''
        GROUP BY ALL
        """
        for f in fields
        if f.kind == "name"
    ]
    if not parts:
        return pl.DataFrame(schema={"field": pl.String, "key": pl.String, "given": pl.Float64})
    return connection.sql(" UNION ALL ".join(parts)).pl()


def frequency_table(connection: Connection, name: str, term_frequencies: pl.DataFrame) -> str:
    """Make the table of one field's frozen frequencies; an unseen value is as rare as any."""
    table = f"dsegment_frequency_{name}"
    kept = term_frequencies.filter(pl.col("field") == name)
    rarest = kept["frequency"].min()
    connection.register("dsegment_kept", kept)
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {table} AS
        SELECT {name}_key, coalesce(any_value(frequency), {rarest if rarest else "NULL"})
            AS tf_{name}_key, any_value(family) AS family
        FROM dsegment_records LEFT JOIN dsegment_kept ON key = {name}_key
        WHERE {name}_key IS NOT NULL
        GROUP BY {name}_key
        """
    )
    connection.unregister("dsegment_kept")
    return table


def no_frequencies() -> pl.DataFrame:
    """Return the empty frame: every value counts alike."""
    number = {"frequency": pl.Float64, "family": pl.Float64}
    return pl.DataFrame(schema={"field": pl.String, "key": pl.String, **number})
