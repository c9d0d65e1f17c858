"""Comparing and scoring pairs with Splink.

Here belong the settings that Splink is given and the reading of its tables. The levels are those of
`ml.matching_fields`, and nothing is estimated by Splink: `ml.matching_estimation` does that, on the
patterns counted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from ml.matching_blocking import Connection
from ml.matching_estimation import Patterns
from ml.matching_fields import MEASURED, Field, Level, levels, not_comparable
from ml.matching_frequencies import frequency_table
from ml.matching_parameters import FieldParameters

PAIRS_AT_ONCE = 1_000_000


def scored_by_splink(
    connection: Connection,
    fields: Sequence[FieldParameters],
    match_share: float,
    threshold: float | None,
    term_frequencies: pl.DataFrame | None,
    pairs: str = "dsegment_pairs",
) -> Iterator[tuple[str, str]]:
    """Score the pairs with Splink; yield in turn a table of scores and the table of their pairs.

    A share of the pairs at a time: Splink puts all compared texts beside each pair, which for all
    of them at once would be many times the memory of the records.
    """
    from splink import DuckDBAPI, Linker, SettingsCreator

    declared = [Field(f.name, f.kind) for f in fields]
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            _comparison(f, d, declared, term_frequencies is not None)
            for f, d in zip(fields, declared, strict=True)
        ],
        blocking_rules_to_generate_predictions=["l.unique_id = r.unique_id"],
        probability_two_random_records_match=match_share,
        retain_matching_columns=threshold is not None,
        retain_intermediate_calculation_columns=True,
    )
    database = DuckDBAPI(connection=connection)
    linker = Linker(
        database.register("dsegment_records"), settings, log_level=None, validate_settings=False
    )
    if term_frequencies is not None:
        for f in fields:
            name = frequency_table(connection, f.name, term_frequencies)
            linker.table_management.register_term_frequency_lookup(
                database.register(name), f"{f.name}_key"
            )
    (count,) = connection.execute(f"SELECT count(*) FROM {pairs}").fetchall()[0]
    for first in range(0, count, PAIRS_AT_ONCE):
        some = f"dsegment_some_{first}"
        connection.execute(
            f"CREATE OR REPLACE TABLE {some} AS"
            f" FROM {pairs} WHERE rowid BETWEEN {first} AND {first + PAIRS_AT_ONCE - 1}"
        )
        linker.table_management.register_blocked_pairs_for_predict(database.register(some))
        scored = linker.inference.predict(
            threshold_match_probability=threshold, warning_mode="never"
        ).physical_name
        yield scored, some
        connection.execute(f"DROP TABLE {scored}; DROP TABLE {some}")


def _comparison(
    f: FieldParameters, field: Field, fields: Sequence[Field], with_frequencies: bool
) -> dict[str, Any]:
    null = not_comparable(field, fields)
    made = [{"sql_condition": null, "label_for_charts": "empty", "is_null_level": True}]
    for i, level in enumerate(levels(field, fields)):
        entry = {
            "sql_condition": level.sql or "ELSE",
            "label_for_charts": level.name,
            "m_probability": f.m[i],
            "u_probability": f.u[i],
        }
        if i == 0 and with_frequencies and f.kind not in MEASURED:
            entry |= {
                "tf_adjustment_column": f"{f.name}_key",
                "tf_adjustment_weight": 1.0,
                "disable_tf_exact_match_detection": True,
            }
        made.append(entry)
    return {"output_column_name": f.name, "comparison_levels": made}


def patterns_of(
    connection: Connection,
    fields: Sequence[Field],
    spec: Mapping[str, Sequence[Level]],
    pairs: str,
) -> Patterns:
    """Count the vectors of levels of a table of pairs; they stay in `dsegment_seen`."""
    level = ", ".join(
        f"CAST(-round(mw_{f.name}) AS TINYINT) - 1 AS level_{i}" for i, f in enumerate(fields)
    )
    connection.execute("DROP TABLE IF EXISTS dsegment_seen")
    counting = numbered(fields, spec)
    for scored, some in scored_by_splink(connection, counting, 0.5, None, None, pairs):
        seen = f"""
            SELECT unique_id_l, unique_id_r, is_known, {level}
            FROM {scored} JOIN {some} ON join_key_l = unique_id_l AND join_key_r = unique_id_r
            """
        connection.execute(f"CREATE TABLE IF NOT EXISTS dsegment_seen AS {seen} LIMIT 0")
        connection.execute(f"INSERT INTO dsegment_seen {seen}")
    names = [f"level_{i}" for i, _ in enumerate(fields)]
    counted = connection.sql(
        f"SELECT {', '.join(names)}, is_known, count(*) AS pairs FROM dsegment_seen"
        " GROUP BY ALL ORDER BY ALL"
    ).pl()
    return Patterns(
        level=counted.select(names).to_numpy(),
        pairs=counted["pairs"].to_numpy().astype(float),
        known=counted["is_known"].to_numpy(),
    )


def numbered(fields: Sequence[Field], spec: Mapping[str, Sequence[Level]]) -> list[FieldParameters]:
    """Parameters under which level i weighs -(i + 1), and an empty field 0.

    Splink gives a pair's levels only together with all compared texts, which would be most of the
    memory; its weights come alone.
    """
    return [
        FieldParameters(
            f.name,
            f.kind,
            tuple(level.name for level in spec[f.name]),
            m=tuple(2.0 ** -(i + 1) for i, _ in enumerate(spec[f.name])),
            u=tuple(1.0 for _ in spec[f.name]),
            home=None,
            town=None,
        )
        for f in fields
    ]
