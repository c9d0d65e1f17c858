"""The golden contacts: what each person is called and how to reach it, in clear, in the vault.

Here belongs turning the pseudonyms of `core.dim_customers` back into values. Which value survives
is decided in dbt, by the rules of `identity.yml`; who may read the values is decided where the
vault is opened. No value is logged, and no error carries one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import duckdb

from landing.declarations import Column, Declarations, Entity
from landing.identity_rules import SurvivingField
from landing.tables import RawColumn, table_exists, transaction

FIELDS = get_args(SurvivingField)
CONTACTS = [
    RawColumn("person_id", "VARCHAR", "The person: customer_id in core.dim_customers."),
    RawColumn("field", "VARCHAR", f"What it is: {', '.join(FIELDS)}."),
    RawColumn("value", "VARCHAR", "The value: identifiers in normal form, others as written."),
    RawColumn("source", "VARCHAR", "Table of the source that the value came from."),
    RawColumn("pseudonym", "VARCHAR", "Its pseudonym in the warehouse."),
]
_GRAIN = "One row per person and field of the golden profile that has a value."
_TABLE = "vault.golden.contacts"
_COLUMNS = ", ".join(column.name for column in CONTACTS)


@dataclass(frozen=True)
class GoldenContacts:
    """What was written.

    row_counts: rows by field. unresolved_count: fields of a golden profile whose value the vault
    does not have; more than none means that vault and warehouse are not of the same landing.
    """

    row_counts: Mapping[str, int]
    unresolved_count: int


def write_golden_contacts(
    connection: duckdb.DuckDBPyConnection, declarations: Declarations
) -> GoldenContacts:
    """Bring `vault.golden.contacts` in step with `core.dim_customers`, in one transaction.

    Rows that are right already are left alone, so a second call writes nothing. A value that was
    written in several ways under one pseudonym ("Kim", "KIM") is taken as it was written most
    often, of equals the first by alphabet.

    Args:
        connection: opened on the warehouse (catalogue `warehouse`) with the vault attached as
            `vault`; only the vault is written.
        declarations: the checked `sources.yml`, which says where in the vault each value is.

    """
    _list_wanted(connection)
    _resolve(connection, declarations)
    # Outside the transaction: a DuckDB transaction writes to one database.
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE golden_contacts AS
        SELECT {_COLUMNS}
        FROM golden_wanted INNER JOIN golden_values USING (field, source, pseudonym)
        """
    )
    same = " AND ".join(f"new.{column.name} = old.{column.name}" for column in CONTACTS)
    with transaction(connection):
        _ensure_table(connection)
        connection.execute(
            f"""
            DELETE FROM {_TABLE} AS old WHERE NOT EXISTS (
                SELECT 1 FROM golden_contacts AS new
                WHERE {same}
            )
            """
        )
        connection.execute(
            f"INSERT INTO {_TABLE} SELECT * FROM golden_contacts EXCEPT SELECT * FROM {_TABLE}"
        )
    counts = connection.execute(
        f"SELECT field, count(*) FROM {_TABLE} GROUP BY field ORDER BY field"
    ).fetchall()
    (wanted,) = connection.execute("SELECT count(*) FROM golden_wanted").fetchone()
    for table in ("golden_wanted", "golden_values", "golden_contacts"):
        connection.execute(f"DROP TABLE {table}")
    return GoldenContacts(dict(counts), wanted - sum(count for _, count in counts))


def _list_wanted(connection: duckdb.DuckDBPyConnection) -> None:
    fields = " UNION ALL ".join(
        f"""
        SELECT customer_id AS person_id, '{field}' AS field, {field}_source AS source,
               {field}_pseudonym AS pseudonym
        FROM warehouse.core.dim_customers WHERE {field}_pseudonym IS NOT NULL
        """
        for field in FIELDS
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE golden_wanted AS {fields}")


def _resolve(connection: duckdb.DuckDBPyConnection, declarations: Declarations) -> None:
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE golden_values
        (field VARCHAR, source VARCHAR, pseudonym VARCHAR, value VARCHAR)
        """
    )
    for entity in declarations.entities:
        columns = [column for column in entity.pseudonymised if column.pseudonym_type in FIELDS]
        if not columns or not table_exists(connection, "vault", "raw", entity.table):
            continue
        spellings = " UNION ALL ".join(_spellings(entity, column) for column in columns)
        connection.execute(
            f"""
            INSERT INTO golden_values
            SELECT field, $1, pseudonym, value
            FROM (
                SELECT field, pseudonym, value, count(*) AS row_count
                FROM ({spellings}) SEMI JOIN golden_wanted USING (field, pseudonym)
                GROUP BY field, pseudonym, value
            )
            QUALIFY row_number() OVER (
                PARTITION BY field, pseudonym ORDER BY row_count DESC, value
            ) = 1
            """,
            [f"{entity.source}.{entity.name}"],
        )


def _spellings(entity: Entity, column: Column) -> str:
    value = f"{column.name}_normalised" if column.identifier else column.name
    return (
        f"SELECT '{column.pseudonym_type}' AS field, \"{column.name}_pseudonym\" AS pseudonym,"
        f' trim("{value}") AS value FROM vault.raw.{entity.table}'
    )


def _ensure_table(connection: duckdb.DuckDBPyConnection) -> None:
    if table_exists(connection, "vault", "golden", "contacts"):
        return
    connection.execute("CREATE SCHEMA IF NOT EXISTS vault.golden")
    body = ", ".join(f"{column.name} {column.sql_type}" for column in CONTACTS)
    connection.execute(f"CREATE TABLE {_TABLE} ({body})")
    connection.execute(f"COMMENT ON TABLE {_TABLE} IS '{_GRAIN}'")
    for column in CONTACTS:
        connection.execute(f"COMMENT ON COLUMN {_TABLE}.{column.name} IS '{column.description}'")
