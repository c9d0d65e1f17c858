"""The tables that landing owns in both databases: created, described and replaced.

Here belongs their DDL. Their rows are written by `deliver`, `load` and `plan`. The two databases
are `warehouse` (the connection's own catalogue) and `vault` (attached); a DuckDB transaction writes
only one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from landing.declarations import Declarations, Entity, RawColumn

LEDGER = [
    RawColumn("source", "VARCHAR", "Source that delivered the file."),
    RawColumn("entity", "VARCHAR", "Entity the file belongs to."),
    RawColumn(
        "file_name",
        "VARCHAR",
        "Name under which the content was first delivered (snapshots: last delivered).",
    ),
    RawColumn(
        "file_id", "VARCHAR", "SHA-256 of the content; a file is recognised by it, not by its name."
    ),
    RawColumn("size_bytes", "BIGINT", "Size of the file."),
    RawColumn("status", "VARCHAR", "loaded, or refused as a whole."),
    RawColumn(
        "reason",
        "VARCHAR",
        "Why the file was refused; to_be_reloaded while a changed declaration is applied.",
    ),
    RawColumn("note", "VARCHAR", "What is worth knowing about a file that was not refused."),
    RawColumn(
        "rows_read", "BIGINT", "Records read, where a broken record counts the lines it swallowed."
    ),
    RawColumn("rows_loaded", "BIGINT", "Rows accepted (an upsert may have replaced some since)."),
    RawColumn(
        "rows_quarantined", "BIGINT", "Rows refused; rows_read = rows_loaded + rows_quarantined."
    ),
    RawColumn(
        "declaration_version", "VARCHAR", "Fingerprint of the declaration the file was read under."
    ),
    RawColumn("load_order", "BIGINT", "Order in which contents were first taken up, from 1."),
    RawColumn("loaded_at", "TIMESTAMP", "When the file was read (UTC)."),
]
QUARANTINE = [
    RawColumn("source", "VARCHAR", "Source that delivered the row."),
    RawColumn("entity", "VARCHAR", "Entity the row belongs to."),
    RawColumn("file_name", "VARCHAR", "File the row came in."),
    RawColumn("file_id", "VARCHAR", "SHA-256 of the file's content."),
    RawColumn(
        "line",
        "BIGINT",
        "Physical line on which the row starts (parquet: record ordinal); null for a whole file.",
    ),
    RawColumn("column_name", "VARCHAR", "First column with a problem, where one column has it."),
    RawColumn("reason", "VARCHAR", "First reason against the row, in column order."),
    RawColumn("detail", "VARCHAR", "The rules that were broken; never a value."),
    RawColumn(
        "row_count",
        "BIGINT",
        "Rows this stands for: lines swallowed by a broken record, rows of a refused file.",
    ),
    RawColumn(
        "row_json",
        "VARCHAR",
        "The row as delivered; null where it may be personal and is kept in the vault.",
    ),
]
AS_OF = [
    RawColumn(
        "as_of_date",
        "DATE",
        "Today, as this warehouse sees it: the last day that counts, inclusive.",
    ),
    RawColumn("business_zone", "VARCHAR", "Time zone of all dates."),
    RawColumn("currency", "VARCHAR", "Currency of the business."),
]
IDENTITY = {
    "types": (
        "One row per identifier type: how far identity stitching trusts it.",
        [
            RawColumn("identifier_type", "VARCHAR", "Identifier type, as sources.yml declares it."),
            RawColumn(
                "tier",
                "VARCHAR",
                "naming makes people, joining joins them, weak attaches to one of them.",
            ),
            RawColumn("priority", "INTEGER", "Place in identity.yml; 1 is the strongest."),
            RawColumn(
                "limit_per_person", "INTEGER", "Most identifiers of the type a person; 0 is none."
            ),
            RawColumn(
                "shared_above",
                "INTEGER",
                "Seen with more naming identifiers of one type, it is nobody's; 0 is no limit.",
            ),
            RawColumn(
                "checks_profile",
                "BOOLEAN",
                "Whether people whose profiles contradict each other are kept apart.",
            ),
            RawColumn(
                "reassigned_after_days",
                "INTEGER",
                "Claimed again after more days than these, it has changed hands; 0 is never.",
            ),
        ],
    ),
    "blocked": (
        "One row per identifier or attribute in the vault that identity.yml blocks.",
        [
            RawColumn("identifier_type", "VARCHAR", "Identifier type, or attribute."),
            RawColumn("pseudonym", "VARCHAR", "Its keyed pseudonym."),
            RawColumn("reason", "VARCHAR", "Reason of the first list in the file that names it."),
        ],
    ),
    "matching": (
        "One row: thresholds of probabilistic matching.",
        [
            RawColumn("join_above", "DOUBLE", "Match probability from which people are joined."),
            RawColumn("suggest_above", "DOUBLE", "From which a person is asked."),
            RawColumn("largest_join", "INTEGER", "Most people that matching may join into one."),
        ],
    ),
    "survivorship": (
        "One row per field and rule, and for source_order per source: which value survives.",
        [
            RawColumn("field", "VARCHAR", "Field of the golden profile."),
            RawColumn("rule", "VARCHAR", "verified, source_order, most_recent or most_frequent."),
            RawColumn("rule_rank", "INTEGER", "Order in which the field's rules decide, from 1."),
            RawColumn("source_entity", "VARCHAR", "Source and entity, of source_order only."),
            RawColumn("source_rank", "INTEGER", "Its place in the order of trust, from 1."),
        ],
    ),
    "decisions": (
        "One row per line of the decision file.",
        [
            RawColumn("row_number", "BIGINT", "Line in the file."),
            RawColumn("pseudonym_a", "VARCHAR", "One identifier."),
            RawColumn("pseudonym_b", "VARCHAR", "The other identifier."),
            RawColumn("decision", "VARCHAR", "approve: one person; reject: two."),
            RawColumn("decided_by", "VARCHAR", "Who decided."),
            RawColumn("decided_at", "TIMESTAMP", "When (UTC)."),
            RawColumn("note", "VARCHAR", "Why, in the person's own words."),
        ],
    ),
}
"""What identity.yml and the decision file say, as `raw.identity_<name>`: grain and columns."""
IDENTITY_INPUTS = [
    RawColumn("table_name", "VARCHAR", "Table in schema raw."),
    RawColumn("fingerprint", "VARCHAR", "Hash of all it was made from."),
    RawColumn("data_version", "VARCHAR", "Hash of its content."),
    RawColumn("row_count", "BIGINT", "Its rows."),
]
LANDING_FILES = [
    RawColumn("source", "VARCHAR", "Source whose landing folder holds the file."),
    RawColumn("entity", "VARCHAR", "Entity the file belongs to."),
    RawColumn("file_name", "VARCHAR", "Name of the file."),
    RawColumn("size_bytes", "BIGINT", "Size when it was last hashed."),
    RawColumn(
        "modified_ns", "BIGINT", "Modification time when it was last hashed, in nanoseconds."
    ),
    RawColumn("file_id", "VARCHAR", "SHA-256 found then."),
]
VAULT_QUARANTINE = [
    RawColumn("source", "VARCHAR", "Source that delivered the row."),
    RawColumn("entity", "VARCHAR", "Entity the row belongs to."),
    RawColumn("file_id", "VARCHAR", "SHA-256 of the file's content."),
    RawColumn("line", "BIGINT", "Physical line on which the row starts."),
    RawColumn("reason", "VARCHAR", "First reason against the row."),
    RawColumn("row_json", "VARCHAR", "The row as delivered."),
]

_WAREHOUSE_TABLES = [
    ("quality", "load_ledger", "One row per file content and entity.", LEDGER),
    ("quality", "quarantine", "One row per refused row, or per refused file.", QUARANTINE),
    (
        "quality",
        "landing_files",
        "One row per file seen: spares hashing what has not changed.",
        LANDING_FILES,
    ),
    ("raw", "as_of", "One row: the day and zone the warehouse is computed for.", AS_OF),
    (
        "quality",
        "identity_inputs",
        "One row per table raw.identity_*: spares making what has not changed.",
        IDENTITY_INPUTS,
    ),
    *(("raw", f"identity_{name}", *said) for name, said in IDENTITY.items()),
]


@dataclass(frozen=True)
class TableState:
    """A raw table after landing; `data_version` changes when its content may have changed."""

    source: str
    entity: str
    table: str
    data_version: str
    row_count: int


def vault_columns(entity: Entity) -> list[RawColumn]:
    """Columns of the entity's vault table: text as delivered, normal form and pseudonym."""
    columns = [
        RawColumn("file_id", "VARCHAR", "SHA-256 of the content of the file the row came in."),
        RawColumn("row_number", "BIGINT", "Ordinal of the record in its file, from 1."),
        RawColumn("key_id", "VARCHAR", "Which key made the pseudonyms."),
        RawColumn("normaliser_version", "BIGINT", "Which rules made the normal forms."),
    ]
    for column in entity.columns:
        if column.is_sensitive:
            columns.append(
                RawColumn(column.name, "VARCHAR", f"As delivered. {column.description}".strip())
            )
        if column.pseudonym_type:
            text = f"Normal form ({column.pseudonym_type})."
            columns.append(RawColumn(f"{column.name}_normalised", "VARCHAR", text))
            columns.append(
                RawColumn(f"{column.name}_pseudonym", "VARCHAR", "Pseudonym in the warehouse.")
            )
    return columns


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit all statements inside, or none of them."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def ensure_tables(connection: duckdb.DuckDBPyConnection, declarations: Declarations) -> None:
    """Create the declared raw and vault tables that are missing; describe tables and columns.

    A table whose declared columns changed is created anew only while it is empty; one with rows is
    rebuilt by `load.land`, which reads its files again.
    """
    with transaction(connection):
        for schema, name, description, columns in _WAREHOUSE_TABLES:
            _ensure(connection, "warehouse", schema, name, description, columns)
        for entity in declarations.entities:
            _ensure(
                connection, "warehouse", "raw", entity.table, entity.description, entity.raw_columns
            )
    with transaction(connection):
        text = "One row per refused row that may be personal."
        _ensure(connection, "vault", "quarantine", "rows", text, VAULT_QUARANTINE)
        for entity in declarations.entities:
            if entity.is_sensitive:
                text = f"What identifies a person in raw.{entity.table}: one row per row there."
                _ensure(connection, "vault", "raw", entity.table, text, vault_columns(entity))


def replace_tables(connection: duckdb.DuckDBPyConnection, entity: Entity) -> None:
    """Replace the entity's raw table by an empty one, inside the caller's transaction."""
    columns = entity.raw_columns
    connection.execute(f"CREATE OR REPLACE TABLE warehouse.raw.{entity.table} ({_ddl(columns)})")
    _describe(connection, "warehouse", "raw", entity.table, entity.description, columns)


def replace_identity_table(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Replace `raw.identity_<name>` by an empty one, inside the caller's transaction."""
    description, columns = IDENTITY[name]
    connection.execute(f"CREATE OR REPLACE TABLE warehouse.raw.identity_{name} ({_ddl(columns)})")
    _describe(connection, "warehouse", "raw", f"identity_{name}", description, columns)


def replace_vault_table(connection: duckdb.DuckDBPyConnection, entity: Entity) -> None:
    """Empty the entity's vault table and vault quarantine, inside the caller's transaction.

    The table is dropped when nothing of the entity is personal any more.
    """
    connection.execute(
        "DELETE FROM vault.quarantine.rows WHERE source = $1 AND entity = $2",
        [entity.source, entity.name],
    )
    connection.execute(f"DROP TABLE IF EXISTS vault.raw.{entity.table}")
    if entity.is_sensitive:
        columns = vault_columns(entity)
        connection.execute(f"CREATE TABLE vault.raw.{entity.table} ({_ddl(columns)})")


def table_exists(
    connection: duckdb.DuckDBPyConnection, database: str, schema: str, table: str
) -> bool:
    """Whether a database holds this table."""
    return bool(_present(connection, database, schema, table))


def has_declared_columns(connection: duckdb.DuckDBPyConnection, entity: Entity) -> bool:
    """Whether the raw table has exactly the declared columns."""
    present = _present(connection, "warehouse", "raw", entity.table)
    return [(name, kind) for name, kind, _ in present] == [
        (c.name, c.sql_type) for c in entity.raw_columns
    ]


def _ensure(
    connection: duckdb.DuckDBPyConnection,
    database: str,
    schema: str,
    table: str,
    description: str,
    columns: list[RawColumn],
) -> None:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {database}.{schema}")
    present = _present(connection, database, schema, table)
    wanted = [(column.name, column.sql_type) for column in columns]
    if [(name, kind) for name, kind, _ in present] != wanted:
        if (
            present
            and connection.execute(f"SELECT 1 FROM {database}.{schema}.{table} LIMIT 1").fetchall()
        ):
            return
        connection.execute(f"CREATE OR REPLACE TABLE {database}.{schema}.{table} ({_ddl(columns)})")
    elif [comment for *_, comment in present] == [column.description or None for column in columns]:
        said = connection.execute(
            "SELECT comment FROM duckdb_tables()"
            " WHERE (database_name, schema_name, table_name) = ($1, $2, $3)",
            [database, schema, table],
        ).fetchall()
        if said == [(description or None,)]:
            return
    _describe(connection, database, schema, table, description, columns)


def _present(
    connection: duckdb.DuckDBPyConnection, database: str, schema: str, table: str
) -> list[tuple[str, str, str | None]]:
    return connection.execute(
        """
        SELECT column_name, data_type, comment FROM duckdb_columns()
        WHERE (database_name, schema_name, table_name) = ($1, $2, $3) ORDER BY column_index
        """,
        [database, schema, table],
    ).fetchall()


def _describe(
    connection: duckdb.DuckDBPyConnection,
    database: str,
    schema: str,
    table: str,
    description: str,
    columns: Iterable[RawColumn],
) -> None:
    name = f"{database}.{schema}.{table}"
    connection.execute(f"COMMENT ON TABLE {name} IS {_text(description)}")
    for column in columns:
        connection.execute(
            f'COMMENT ON COLUMN {name}."{column.name}" IS {_text(column.description)}'
        )


def _ddl(columns: Iterable[RawColumn]) -> str:
    return ", ".join(f'"{column.name}" {column.sql_type}' for column in columns)


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'" if text else "NULL"
