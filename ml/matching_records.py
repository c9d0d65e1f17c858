"""The records as they are compared: one table, each field in one spelling, gone after the call.

Here belong the database in memory, the table `dsegment_records` in it, and which fields say
anything at all. How a value is spelled belongs to `ml.matching_fields`. This is the one module of
`ml` that knows the engine itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import duckdb

from ml.errors import MatchingError
from ml.matching_blocking import Connection
from ml.matching_fields import Field, prepared_columns

_DATABASE = "dsegment_matching"


@contextlib.contextmanager
def workspace(connection: Connection) -> Iterator[None]:
    """Work in a database in memory that is gone afterwards, whatever happens."""
    ((database, schema),) = connection.execute(
        "SELECT current_database(), current_schema()"
    ).fetchall()
    connection.execute(f"ATTACH ':memory:' AS {_DATABASE}")
    try:
        # Names of the caller's tables still resolve: the prepared tables are made by full name.
        yield
    finally:
        connection.execute(f'USE "{database}"."{schema}"')
        connection.execute(f"DETACH {_DATABASE}")


def prepare(
    connection: Connection,
    table: str,
    fields: Sequence[Field],
    id_column: str,
    group_column: str | None,
) -> None:
    """Make the table of records, with each field in one spelling, and go to its database.

    The names of all tables begin with `dsegment_`: a frame that the caller has registered
    would come before a table of the same name.
    """
    try:
        found = [c[0].lower() for c in connection.sql(f"SELECT * FROM {table} LIMIT 0").description]
    except duckdb.CatalogException:
        raise MatchingError(f"there is no table {table}") from None
    wanted = [id_column, *(f.name for f in fields), *([group_column] if group_column else [])]
    absent = [name for name in wanted if name.lower() not in found]
    if absent:
        raise MatchingError(f"{table} lacks the column(s) {', '.join(absent)}")
    keys = {f.name: f"{f.name}_key" for f in fields if f"{f.name}_key" in found}
    columns = ",\n".join(
        expression
        for f in fields
        for expression in prepared_columns(f, f'"{f.name}"', keys.get(f.name))
    )
    group = f'CAST("{group_column}" AS VARCHAR)' if group_column else "CAST(NULL AS VARCHAR)"
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {_DATABASE}.main.dsegment_records AS
        SELECT
            row_number() OVER (ORDER BY CAST("{id_column}" AS VARCHAR)) AS unique_id,
            CAST("{id_column}" AS VARCHAR) AS record_id,
            {group} AS known_group,
            {columns}
        FROM {table}
        """
    )
    connection.execute(f"USE {_DATABASE}.main")
    ((empty, repeated),) = connection.execute(
        "SELECT count(*) FILTER (record_id IS NULL), count(record_id) - count(DISTINCT record_id)"
        " FROM dsegment_records"
    ).fetchall()
    if empty or repeated:
        raise MatchingError(f"{table}: {empty} record(s) without an id, {repeated} repeated id(s)")


def usable(
    connection: Connection, fields: Sequence[Field], records: int
) -> tuple[list[Field], dict[str, str]]:
    """Return the fields that tell records apart, and of each other one why it does not.

    Raises:
        MatchingError: no field does.

    """
    used, left_out = [], {}
    for f in fields:
        ((filled, distinct),) = connection.execute(
            f"SELECT count({f.name}_text), count(DISTINCT {f.name}_text) FROM dsegment_records"
        ).fetchall()
        if filled < max(2, records // 1000):
            left_out[f.name] = f"filled in {filled} of {records} records"
        elif distinct < 2:
            left_out[f.name] = "the same in all records"
        else:
            used.append(f)
    if not used:
        raise MatchingError("no field tells records apart: each is empty or the same in all")
    return used, left_out
