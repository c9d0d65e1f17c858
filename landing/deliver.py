"""The landing of one file: read, judged, written to the vault, then to the warehouse.

Here belong the writes of one file, in an order that survives a kill: its vault rows are committed
first (repeating that is harmless), then its raw rows, quarantine and ledger line in one transaction
of the warehouse. Which files are landed is decided in `plan`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from landing.checks import JUDGED_TABLE, judge, misfits, output
from landing.declarations import Entity
from landing.normalise import NORMALISER_VERSION
from landing.plan import File, LandingError
from landing.pseudonyms import PseudonymKey
from landing.readers import (
    REJECTS_TABLE,
    TEXT_TABLE,
    FileContent,
    RefusedFileError,
    fingerprint,
    read_file,
)
from landing.tables import transaction


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file.

    `status` is loaded, refused, known (content landed before) or unsettled (still being written).
    """

    source: str
    entity: str
    file_name: str
    file_id: str
    status: str
    reason: str | None = None
    rows_read: int = 0
    rows_loaded: int = 0
    rows_quarantined: int = 0
    note: str | None = None


def land_file(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    file: File,
    version: str,
    key: PseudonymKey,
    step: Callable[..., None],
) -> FileOutcome:
    """Land one file, or refuse it whole; return what became of it.

    Raises `LandingError` when the engine fails for a reason other than the file's content.
    """
    print_ = fingerprint(file.path)
    refusal: RefusedFileError | None = None
    content = FileContent(None, has_extra_columns=False)
    failure: str | None = None
    try:
        content = read_file(connection, entity, file.path, print_)
        _refuse_older_snapshot(connection, entity, file)
        judge(connection, entity, key, file.path.name)
        _refuse_empty_snapshot(connection, entity)
    except RefusedFileError as error:
        refusal = error
    except (duckdb.DataError, duckdb.InvalidInputException) as error:
        refusal = RefusedFileError(
            "unreadable", f"the engine cannot read it ({type(error).__name__})"
        )
    except duckdb.Error as error:
        failure = type(error).__name__
    # Raised outside the handler: the engine's own message may quote a row and must not come along.
    if failure:
        raise LandingError(
            f"{entity.source}.{entity.name}: {file.path.name}: the engine failed ({failure})"
        )
    stat = file.path.stat()
    if print_.file_id != file.file_id or (stat.st_size, stat.st_mtime_ns) != (
        file.size,
        file.modified_ns,
    ):
        note = "the file changed while it was read; it is left for the next landing"
        return FileOutcome(
            entity.source, entity.name, file.path.name, file.file_id, "unsettled", None, note=note
        )
    if refusal:
        return _refuse(connection, entity, file, version, refusal)
    _write_vault(connection, entity, file, key, content)
    step("vault_written")
    return _write_warehouse(connection, entity, file, version, content)


def _refuse_older_snapshot(
    connection: duckdb.DuckDBPyConnection, entity: Entity, file: File
) -> None:
    if entity.delivery != "snapshot":
        return
    newest = connection.execute(
        """
        SELECT max(file_name) FROM warehouse.quality.load_ledger
        WHERE source = $1 AND entity = $2 AND status = 'loaded'
        """,
        [entity.source, entity.name],
    ).fetchall()[0][0]
    if newest and newest > file.path.name:
        raise RefusedFileError("stale", f"a newer snapshot is in place: {newest}")


def _refuse_empty_snapshot(connection: duckdb.DuckDBPyConnection, entity: Entity) -> None:
    """Refuse a snapshot that has rows but no good one: it would empty the table."""
    if entity.delivery != "snapshot":
        return
    read, good = connection.execute(
        f"SELECT count(*), count(*) FILTER (_verdict = 'good') FROM {JUDGED_TABLE}"
    ).fetchall()[0]
    rejects = connection.execute(f"SELECT count(*) FROM {REJECTS_TABLE}").fetchall()[0][0]
    if read + rejects and not good:
        raise RefusedFileError(
            "unreadable", "no row of the snapshot can be loaded; the state before it stays"
        )


def _write_vault(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    file: File,
    key: PseudonymKey,
    content: FileContent,
) -> None:
    """Commit what may be personal, replacing whatever the vault holds of this file."""
    mine = [entity.source, entity.name, file.file_id]
    with transaction(connection):
        connection.execute(
            "DELETE FROM vault.quarantine.rows WHERE (source, entity, file_id) = ($1, $2, $3)", mine
        )
        if entity.is_sensitive or content.has_extra_columns:
            connection.execute(
                "INSERT INTO vault.quarantine.rows"
                f" SELECT $1, $2, $3, line, reason, text FROM {REJECTS_TABLE}",
                mine,
            )
        if not entity.is_sensitive:
            return
        connection.execute(
            f"""
            INSERT INTO vault.quarantine.rows
            SELECT $1, $2, $3, j._line, j._verdict, {_row_json(entity)}
            FROM {JUDGED_TABLE} AS j JOIN {TEXT_TABLE} AS t USING (_row_number)
            WHERE j._verdict NOT IN ('good', 'replaced')
            """,
            mine,
        )
        connection.execute(
            f"DELETE FROM vault.raw.{entity.table} WHERE file_id = $1", [file.file_id]
        )
        values = []
        for column in entity.columns:
            if column.is_sensitive:
                values.append(f't."{column.name}"')
            if column.pseudonym_type:
                values.append(f'j."_normalised_{column.name}", j."_pseudonym_{column.name}"')
        connection.execute(
            f"""
            INSERT INTO vault.raw.{entity.table}
            SELECT $1, j._row_number, $2, $3, {", ".join(values)}
            FROM {JUDGED_TABLE} AS j JOIN {TEXT_TABLE} AS t USING (_row_number)
            WHERE j._verdict = 'good' ORDER BY j._row_number
            """,
            [file.file_id, key.key_id, NORMALISER_VERSION],
        )


def _write_warehouse(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    file: File,
    version: str,
    content: FileContent,
) -> FileOutcome:
    rejected = connection.execute(
        f"SELECT coalesce(sum(row_count), 0)::BIGINT FROM {REJECTS_TABLE}"
    ).fetchall()[0][0]
    judged, good = connection.execute(
        f"SELECT count(*), count(*) FILTER (_verdict IN ('good', 'replaced')) FROM {JUDGED_TABLE}"
    ).fetchall()[0]
    outcome = FileOutcome(
        entity.source,
        entity.name,
        file.path.name,
        file.file_id,
        "loaded",
        None,
        judged + rejected,
        good,
        judged - good + rejected,
        "; ".join(filter(None, (content.note, misfits(connection, entity)))) or None,
    )
    raw = f"warehouse.raw.{entity.table}"
    where = [entity.source, entity.name, file.path.name, file.file_id]
    values = [output(column) for column in entity.columns if not column.personal]
    row_key = ", _row_key" if entity.keeps_row_key else ""
    with transaction(connection):
        if entity.delivery == "snapshot":
            connection.execute(f"DELETE FROM {raw}")
        elif entity.delivery == "upsert":
            keyed = [c for c in entity.columns if c.name in entity.key]
            same = " AND ".join(
                f'r."{c.name}{"_pseudonym" if c.identifier else ""}" = j.{output(c)}' for c in keyed
            )
            connection.execute(
                f"DELETE FROM {raw} AS r USING {JUDGED_TABLE} AS j"
                f" WHERE j._verdict = 'good' AND {same}"
            )
        connection.execute(
            f"""
            INSERT INTO {raw}
            SELECT {", ".join([*values, "$1", "_row_number"])}{row_key}
            FROM {JUDGED_TABLE} WHERE _verdict = 'good' ORDER BY _row_number
            """,
            [file.file_id],
        )
        _forget_quarantine(connection, entity, file)
        keeps_text = not (entity.is_sensitive or content.has_extra_columns)
        connection.execute(
            f"""
            INSERT INTO warehouse.quality.quarantine
            SELECT $1, $2, $3, $4, line, NULL, reason, detail, row_count,
                   {"to_json(text)::VARCHAR" if keeps_text else "NULL"}
            FROM {REJECTS_TABLE}
            UNION ALL
            SELECT $1, $2, $3, $4, j._line, j._column, j._verdict, j._detail, 1,
                   {"NULL" if entity.is_sensitive else _row_json(entity)}
            FROM {JUDGED_TABLE} AS j JOIN {TEXT_TABLE} AS t USING (_row_number)
            WHERE j._verdict NOT IN ('good', 'replaced')
            ORDER BY line
            """,
            where,
        )
        _write_ledger(connection, outcome, file, version)
    return outcome


def _refuse(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    file: File,
    version: str,
    refusal: RefusedFileError,
) -> FileOutcome:
    """Record a refused file; one quarantine row stands for all rows that could be counted."""
    count = 0
    if refusal.reason in ("stale", "unreadable"):
        held = f"""
            SELECT (SELECT count(*) FROM {TEXT_TABLE})
                 + (SELECT coalesce(sum(row_count), 0) FROM {REJECTS_TABLE})
        """
        count = int(connection.execute(held).fetchall()[0][0])
    outcome = FileOutcome(
        entity.source,
        entity.name,
        file.path.name,
        file.file_id,
        "refused",
        refusal.reason,
        count,
        0,
        count,
        refusal.detail,
    )
    with transaction(connection):
        _forget_quarantine(connection, entity, file)
        connection.execute(
            "INSERT INTO warehouse.quality.quarantine"
            " VALUES ($1, $2, $3, $4, NULL, NULL, $5, $6, $7, NULL)",
            [
                entity.source,
                entity.name,
                file.path.name,
                file.file_id,
                refusal.reason,
                refusal.detail,
                count,
            ],
        )
        _write_ledger(connection, outcome, file, version)
    return outcome


def _row_json(entity: Entity) -> str:
    """SQL of the row as delivered: the declared columns as text, under their names in the file."""
    pairs = ", ".join(
        f"""'{c.source_name.replace("'", "''")}', t."{c.name}\"""" for c in entity.columns
    )
    return f"json_object({pairs})::VARCHAR"


def _forget_quarantine(connection: duckdb.DuckDBPyConnection, entity: Entity, file: File) -> None:
    connection.execute(
        "DELETE FROM warehouse.quality.quarantine WHERE (source, entity, file_id) = ($1, $2, $3)",
        [entity.source, entity.name, file.file_id],
    )


def _write_ledger(
    connection: duckdb.DuckDBPyConnection, outcome: FileOutcome, file: File, version: str
) -> None:
    """Write the file's ledger line; a file read again keeps its place in the order."""
    mine = [outcome.source, outcome.entity, outcome.file_id]
    held = connection.execute(
        """
        SELECT coalesce(max(load_order) FILTER ((source, entity, file_id) = ($1, $2, $3)),
                        max(load_order) + 1, 1)
        FROM warehouse.quality.load_ledger
        """,
        mine,
    ).fetchall()
    connection.execute(
        "DELETE FROM warehouse.quality.load_ledger WHERE (source, entity, file_id) = ($1, $2, $3)",
        mine,
    )
    connection.execute(
        "INSERT INTO warehouse.quality.load_ledger"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        [
            outcome.source,
            outcome.entity,
            outcome.file_name,
            outcome.file_id,
            file.size,
            outcome.status,
            outcome.reason,
            outcome.note,
            outcome.rows_read,
            outcome.rows_loaded,
            outcome.rows_quarantined,
            version,
            held[0][0],
            datetime.now(UTC).replace(tzinfo=None),
        ],
    )
