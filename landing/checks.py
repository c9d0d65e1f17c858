"""The judgement of rows: typed columns, and the first reason against each row.

Here belong types, times, ranges, accepted values, identifiers, keys and versions, as generated SQL
over the temporary tables of `readers`. What becomes of a judged row belongs in `deliver`. A
reason's detail describes the rule, never the value, so that it may be kept in the warehouse.

Casting is stricter than DuckDB's: '1.5' is not an integer and '1.23456' not a decimal(18,4), since
both would be rounded silently; 'infinity' is not a time. The clock is asked for one thing alone:
whether the time of an event has come.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import duckdb

from landing.declarations import Column, Entity
from landing.pseudonyms import PseudonymKey, hmac_sql, map_identifiers
from landing.readers import TEXT_TABLE

TYPED_TABLE = "landing_typed"
"""Temporary: each row with its typed columns and the problems found in it.

Columns: `_row_number`, `_line`, the typed columns under their names, the `_normalised_x`,
`_pseudonym_x` and `_misfit_x` of each identifier or attribute x, `_problem` (column, reason and
detail of the first problem, separated by `SEPARATOR`) and `_problems` (all of them, readable).
"""
JUDGED_TABLE = "landing_judged"
"""Temporary: `TYPED_TABLE` plus `_row_key`, `_column`, `_detail` and `_verdict`.

A verdict is 'good', 'replaced' or the reason why the row is refused.
"""

SEPARATOR = "\x1f"
_WHITE = "' \t\r\n\f\v\u00a0\u3000\ufeff'"


def judge(
    connection: duckdb.DuckDBPyConnection, entity: Entity, key: PseudonymKey, file_name: str
) -> None:
    """Fill `JUDGED_TABLE` with every row of `TEXT_TABLE` and its verdict.

    A `replaced` row (upserts only) is valid, but the same file has a newer row with its key.
    """
    for column in entity.pseudonymised:
        map_identifiers(connection, entity, column, key, TEXT_TABLE)
    connection.execute(_typed_sql(entity))
    if entity.keeps_row_key:
        connection.execute(_row_key_sql(entity), key.pads)
    elif entity.delivery == "upsert":
        connection.execute(
            _upsert_sql(entity),
            {"file_name": file_name, "source": entity.source, "entity": entity.name},
        )
    else:
        connection.execute(_key_sql(entity))


def misfits(connection: duckdb.DuckDBPyConnection, entity: Entity) -> str | None:
    """Say, for the ledger, how many accepted rows have an unusable identifier or attribute.

    Only optional ones, since a row with an unusable required one is refused. Such a row has a null
    pseudonym, and the vault keeps what was written.
    """
    spared = [column for column in entity.pseudonymised if not entity.is_required(column)]
    if not spared:
        return None
    counts = ", ".join(f'count("_misfit_{column.name}")' for column in spared)
    (found,) = connection.execute(
        f"SELECT {counts} FROM {JUDGED_TABLE} WHERE _verdict IN ('good', 'replaced')"
    ).fetchall()
    words = [
        f"{count} row(s) without their {column.name}: not a usable {column.pseudonym_type}"
        for column, count in zip(spared, found, strict=True)
        if count
    ]
    return "; ".join(words) or None


def output(column: Column) -> str:
    """SQL of the value that a column has in the raw table."""
    return f'"_pseudonym_{column.name}"' if column.pseudonym_type else f'"{column.name}"'


# --- types, ranges, identifiers -------------------------------------------------------


def _typed_sql(entity: Entity) -> str:
    texts, joins, values, problems = [], [], [], []
    for column in entity.columns:
        text = f't."{column.name}"'
        if column.pseudonym_type:
            spelled = f"m_{column.name}"
            joins.append(
                f"LEFT JOIN landing_map_{column.name} AS {spelled} ON {text} = {spelled}.text"
            )
            texts += [
                f'{spelled}.normalised AS "_normalised_{column.name}"',
                f'{spelled}.pseudonym AS "_pseudonym_{column.name}"',
                f'{spelled}.problem AS "_misfit_{column.name}"',
            ]
        else:
            texts.append(f'{_blank(column, text)} AS "_text_{column.name}"')
            values.append(f'{_typed(entity, column)} AS "{column.name}"')
        problem = _problem(entity, column)
        if problem:
            problems.append(problem)
    first = f"coalesce({', '.join(problems)})" if problems else "NULL::VARCHAR"
    readable = ", ".join(f"replace({p}, '{SEPARATOR}', ' ')" for p in problems) or "NULL"
    return f"""
        CREATE OR REPLACE TEMP TABLE {TYPED_TABLE} AS
        WITH texts AS (
            SELECT t._row_number, t._line, {", ".join(texts)}
            FROM {TEXT_TABLE} AS t {" ".join(joins)}
        ),
        typed AS ({f"SELECT *, {', '.join(values)} FROM texts" if values else "FROM texts"}),
        judged AS (SELECT *, {first} AS _problem FROM typed)
        SELECT *, CASE WHEN _problem IS NOT NULL THEN concat_ws('; ', {readable}) END AS _problems
        FROM judged
    """


def _blank(column: Column, text: str) -> str:
    if column.type != "text":
        return f"nullif(trim({text}), '')"
    return f"nullif(trim(nfc_normalize({text}), {_WHITE}), '')"


def _typed(entity: Entity, column: Column) -> str:
    text = f'"_text_{column.name}"'
    match column.type:
        case "text":
            return text
        case "boolean":
            return f"TRY_CAST(lower({text}) AS BOOLEAN)"
        case "bigint" | "integer":
            # A floating-point column of a parquet file writes 3 as "3.0".
            whole = f"TRY_CAST(regexp_replace({text}, '\\.0*$', '') AS {column.sql_type})"
            return _exactly(
                f"TRY_CAST({text} AS {column.sql_type})::VARCHAR = {text}",
                f"TRY_CAST({text} AS {column.sql_type})",
                f"CASE WHEN regexp_full_match({text}, '[+-]?\\d+(\\.0*)?') THEN {whole} END",
            )
        case "double":
            number = f"TRY_CAST({text} AS DOUBLE)"
            return f"CASE WHEN isfinite({number}) THEN {number} END"
        case "date":
            moment = _moment(column, text)
            # A time of day in a date column means that the wrong column was declared or delivered.
            is_day = f"isfinite({moment}) AND {moment}::DATE::TIMESTAMP = {moment}"
            return f"CASE WHEN {is_day} THEN {moment}::DATE END"
        case "timestamp":
            return _instant(entity, column, text)
        case _:
            scale = int(column.type.rstrip(")").split(",")[1])
            exact = f"[+-]?(\\d+(\\.\\d{{0,{scale}}}0*)?|\\.\\d{{1,{max(scale, 1)}}}0*)"
            number = f"TRY_CAST({text} AS {column.sql_type})"
            return _exactly(
                f"starts_with({number}::VARCHAR, {text})",
                number,
                f"CASE WHEN regexp_full_match({text}, '{exact}') THEN {number} END",
            )


def _exactly(usual: str, value: str, unusual: str) -> str:
    """SQL that looks at `unusual` only where the number does not print as it was written.

    The regular expression in `unusual` costs more than the cast.
    """
    return f"CASE WHEN {usual} THEN {value} ELSE {unusual} END"


_OFFSET = r"'\d\d(:?\d\d)?(\.\d+)? ?([+-]\d\d(:?\d\d)?|Z)$'"


def _moment(column: Column, text: str) -> str:
    if column.formats:
        return f"try_strptime({text}, [{', '.join(_quoted(f) for f in column.formats)}])::TIMESTAMP"
    return f"CASE WHEN regexp_matches({text}, '^\\d{{4}}-') THEN TRY_CAST({text} AS TIMESTAMP) END"


def _instant(entity: Entity, column: Column, text: str) -> str:
    """SQL of a naive UTC timestamp; a text without an offset is in the source's zone."""

    def from_zone(local: str) -> str:
        if entity.zone == "UTC":
            return local
        return f"({local} AT TIME ZONE {_quoted(entity.zone)}) AT TIME ZONE 'UTC'"

    if column.formats:
        tries = []
        for form in column.formats:
            parsed = f"try_strptime({text}, {_quoted(form)})"
            # DuckDB returns a zoned type only for formats that read an offset or a zone.
            tries.append(
                f"{parsed} AT TIME ZONE 'UTC'"
                if "%z" in form or "%Z" in form
                else from_zone(parsed)
            )
        moment = f"coalesce({', '.join(tries)})"
    else:
        local = from_zone(_moment(column, text))
        zoned = f"TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
        has_offset = f"length({text}) > 19 AND regexp_matches({text}, {_OFFSET})"
        moment = f"CASE WHEN {has_offset} THEN {zoned} ELSE {local} END"
    return f"CASE WHEN isfinite({moment}) THEN {moment} END"


def _problem(entity: Entity, column: Column) -> str | None:
    """SQL that gives column, reason and detail of a bad value, and null for a good one."""

    def says(reason: str, detail: str) -> str:
        return _quoted(SEPARATOR.join((column.name, reason, detail)))

    if column.pseudonym_type:
        if not entity.is_required(column):
            return None  # an order is not lost for a mistyped phone: see `misfits`
        normalised, misfit = f'"_normalised_{column.name}"', f'"_misfit_{column.name}"'
        invalid = _quoted(SEPARATOR.join((column.name, "invalid_identifier", "")))
        return (
            f"CASE WHEN {misfit} IS NOT NULL THEN {invalid} || {misfit} "
            f"WHEN {normalised} IS NULL THEN {says('missing_value', 'says nothing')} END"
        )
    text, value = f'"_text_{column.name}"', f'"{column.name}"'
    misread = f"WHEN {text} IS NOT NULL AND {value} IS NULL THEN"
    cases = []
    if entity.is_required(column):
        cases.append(f"WHEN {text} IS NULL THEN {says('missing_value', 'says nothing')}")
    if column.type in ("date", "timestamp"):
        forms = " or ".join(column.formats) if column.formats else "ISO 8601"
        cases.append(f"{misread} {says('bad_time', f'not a {column.type} as {forms}')}")
        if column.name == entity.event_time:
            # One phone with a wrong clock would move the whole business's today.
            tomorrow = "now() AT TIME ZONE 'UTC' + INTERVAL 1 DAY"
            future = says("future_time", "more than a day after it landed")
            cases.append(f"WHEN {value} > {tomorrow} THEN {future}")
    elif column.type != "text":
        cases.append(f"{misread} {says('wrong_type', f'not of type {column.type}')}")
    for sign, word, bound in (("<", "below", column.min), (">", "above", column.max)):
        if bound is not None:
            says_range = says("out_of_range", f"{word} {bound}")
            cases.append(f"WHEN {value} {sign} {_bound(column, bound)} THEN {says_range}")
    if column.accepted:
        listed = ", ".join(_quoted(a) for a in column.accepted)
        detail = f"not one of {', '.join(column.accepted)}"
        cases.append(f"WHEN {value} NOT IN ({listed}) THEN {says('not_accepted', detail)}")
    return f"CASE {' '.join(cases)} END" if cases else None


def _bound(column: Column, bound: date | datetime | int | float) -> str:
    if isinstance(bound, datetime) and bound.tzinfo:
        bound = bound.astimezone(UTC).replace(tzinfo=None)
    if isinstance(bound, date):
        return f"{_quoted(str(bound))}::{column.sql_type}"
    # No cast: a bound need not fit the column's own type (0.5 for an integer).
    return f"{bound!r}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# --- keys, overlaps, versions ---------------------------------------------------------

_VERDICT = f"""
    CASE WHEN _problem IS NOT NULL THEN split_part(_problem, '{SEPARATOR}', 2)
         ELSE coalesce(_key_reason, 'good') END AS _verdict,
    CASE WHEN _problem IS NOT NULL THEN split_part(_problem, '{SEPARATOR}', 1) END AS _column,
    CASE WHEN _problem IS NOT NULL THEN _problems ELSE _key_detail END AS _detail"""


def _key_sql(entity: Entity) -> str:
    """Judge appends with a key, and snapshots: the first row of each key stays.

    An appended row is also a duplicate when the table holds its key already.
    """
    if not entity.key:
        return f"""
            CREATE OR REPLACE TEMP TABLE {JUDGED_TABLE} AS
            SELECT *, NULL::UUID AS _row_key, {_VERDICT}
            FROM (
                SELECT *, NULL::VARCHAR AS _key_reason, NULL::VARCHAR AS _key_detail
                FROM {TYPED_TABLE}
            )
        """
    mine, theirs = _key_outputs(entity), _key_columns(entity)
    held, is_held = "", "false"
    if entity.delivery == "append":
        is_held = "h._is_held"
        held = f"""LEFT JOIN (
            SELECT DISTINCT {", ".join(theirs)}, true AS _is_held FROM raw.{entity.table} AS r
            SEMI JOIN {TYPED_TABLE} AS k ON {_same("k", mine, "r", theirs)}
        ) AS h ON {_same("t", mine, "h", theirs)}"""
    return f"""
        CREATE OR REPLACE TEMP TABLE {JUDGED_TABLE} AS
        WITH repeated AS (
            SELECT {", ".join(mine)}, min(_row_number) AS _first FROM {TYPED_TABLE}
            WHERE _problem IS NULL GROUP BY ALL HAVING count(*) > 1
        ),
        keyed AS (
            SELECT t.*, {is_held} AS _is_held, t._row_number > f._first AS _is_repeat
            FROM {TYPED_TABLE} AS t {held}
            LEFT JOIN repeated AS f ON {_same("t", mine, "f", mine)}
        )
        SELECT * EXCLUDE (_is_held, _is_repeat, _key_reason, _key_detail),
               NULL::UUID AS _row_key, {_VERDICT}
        FROM (
            SELECT *, CASE WHEN _is_held OR _is_repeat THEN 'duplicate' END AS _key_reason,
                   CASE WHEN _is_held THEN 'the key came in an earlier file'
                        WHEN _is_repeat THEN 'the key came earlier in this file' END AS _key_detail
            FROM keyed
        )
    """


def _row_key_sql(entity: Entity) -> str:
    """Judge appends without a key: the nth row with a content is the same row in every file.

    So rows that two files share are duplicates, and repeats inside one file are not. The content is
    the typed values, not the text: two exports may write the same day in two formats.
    """
    values = [output(c) for c in entity.columns]
    content = " || chr(31) || ".join(f"coalesce({v}::VARCHAR, chr(30))" for v in values)
    return f"""
        CREATE OR REPLACE TEMP TABLE {JUDGED_TABLE} AS
        WITH content AS (SELECT *, {content} AS _content FROM {TYPED_TABLE}),
        counted AS (
            SELECT *, row_number() OVER (
                PARTITION BY _problem IS NULL, _content ORDER BY _row_number
            ) AS _nth
            FROM content
        ),
        keyed AS (
            SELECT * EXCLUDE (_content, _nth),
                   CASE WHEN _problem IS NULL
                        THEN left({hmac_sql("_content || chr(31) || _nth")}, 32)::UUID
                   END AS _row_key
            FROM counted
        )
        SELECT * EXCLUDE (_key_reason, _key_detail), {_VERDICT}
        FROM (
            SELECT k.*, CASE WHEN h._row_key IS NOT NULL THEN 'duplicate' END AS _key_reason,
                   CASE WHEN h._row_key IS NOT NULL
                        THEN 'the same row came in an earlier file' END AS _key_detail
            FROM keyed AS k LEFT JOIN raw.{entity.table} AS h ON h._row_key = k._row_key
        )
    """


def _upsert_sql(entity: Entity) -> str:
    """Judge upserts: of each key, the row with the highest (version, file name, row) stays.

    The table is therefore the same in whatever order the files arrive.
    """
    mine = _key_outputs(entity)
    columns = _key_columns(entity)
    partition = f"PARTITION BY _problem IS NULL, {', '.join(f't.{m}' for m in mine)}"
    version = f't."{entity.version_by}"' if entity.version_by else "0"
    held_version = f'r."{entity.version_by}"' if entity.version_by else "0"
    return f"""
        CREATE OR REPLACE TEMP TABLE {JUDGED_TABLE} AS
        WITH held AS (
            SELECT {", ".join(f"r.{c}" for c in columns)},
                   {held_version} AS _held_version, l.file_name AS _held_file
            FROM raw.{entity.table} AS r
            JOIN quality.load_ledger AS l
              ON l.file_id = r._file_id AND l.source = $source AND l.entity = $entity
        ),
        versioned AS (
            SELECT t.*, h._held_version, h._held_file,
                   {version} AS _version,
                   max({version}) OVER ({partition} ORDER BY t._row_number) AS _best_so_far,
                   row_number() OVER (
                       {partition} ORDER BY {version} DESC, t._row_number DESC
                   ) AS _rank
            FROM {TYPED_TABLE} AS t LEFT JOIN held AS h ON {_same("t", mine, "h", columns)}
        )
        SELECT * EXCLUDE (_held_version, _held_file, _version, _best_so_far, _rank,
                          _key_reason, _key_detail),
               NULL::UUID AS _row_key, {_VERDICT}
        FROM (
            SELECT *,
                   CASE WHEN _version < _held_version
                          OR (_version = _held_version AND $file_name < _held_file)
                          OR _version < _best_so_far THEN 'stale'
                        WHEN _rank > 1 THEN 'replaced' END AS _key_reason,
                   'a newer version of the key is known' AS _key_detail
            FROM versioned
        )
    """


def _key_outputs(entity: Entity) -> list[str]:
    return [output(c) for c in _keyed(entity)]


def _key_columns(entity: Entity) -> list[str]:
    return [f'"{c.name}_pseudonym"' if c.identifier else f'"{c.name}"' for c in _keyed(entity)]


def _keyed(entity: Entity) -> list[Column]:
    return [c for name in entity.key for c in entity.columns if c.name == name]


def _same(left: str, left_columns: list[str], right: str, right_columns: list[str]) -> str:
    pairs = zip(left_columns, right_columns, strict=True)
    return " AND ".join(f"{left}.{mine} = {right}.{theirs}" for mine, theirs in pairs)
