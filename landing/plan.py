"""The plan, made before anything is written: which files are new, known or to be read again.

Here belong listing the landing folders, recognising files by their content, and deciding what to
do with them. Doing it belongs in `load` and `deliver`. New files are taken in order of their names,
files read again in the order in which they first came.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import duckdb

from landing.declarations import DeclarationError, Entity
from landing.normalise import NORMALISER_VERSION
from landing.pseudonyms import PseudonymKey
from landing.readers import fingerprint
from landing.tables import table_exists, transaction

Seen = dict[tuple[str, str, str], tuple[int, int, str]]
"""(source, entity, file name) → (size, modification time, content hash) at the last landing."""


class LandingError(RuntimeError):
    """Landing cannot go on. The message names source, entity and file, and never a value."""


@dataclass(frozen=True)
class File:
    """One file in a landing folder, recognised by its content."""

    path: Path
    size: int
    modified_ns: int
    file_id: str


@dataclass(frozen=True)
class Known:
    """What a plan needs of one line of the ledger."""

    file_id: str
    file_name: str
    status: str
    reason: str | None
    declaration_version: str
    load_order: int


@dataclass(frozen=True)
class Plan:
    """What to do for one entity.

    `rebuild`: every file is read again. `todo`: files to read, in order. `gone`: loaded files that
    a rebuild needs and that are no longer there. `rename`: newer names of known snapshots, by
    content hash.
    """

    version: str
    rebuild: bool
    todo: list[File]
    known: list[File]
    gone: list[Known]
    rename: dict[str, str]


def list_files(
    landing_dir: Path, names: Iterable[str], entities: list[Entity]
) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the files of each entity in order of name, and those that belong to none."""
    listing: dict[str, list[Path]] = {entity.table: [] for entity in entities}
    unclaimed = []
    for source in names:
        folder = landing_dir / source
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if not path.is_file() or path.name.startswith("."):
                continue
            owners = [e for e in entities if e.source == source and fnmatchcase(path.name, e.files)]
            if len(owners) > 1:
                both = " and ".join(f"'{owner.name}' ({owner.files})" for owner in owners)
                raise DeclarationError(
                    f"source '{source}': file {path.name} matches entities {both};"
                    " make their `files` patterns differ"
                )
            if owners:
                listing[owners[0].table].append(path)
            else:
                unclaimed.append(f"{source}/{path.name}")
    return listing, unclaimed


def files_seen(
    connection: duckdb.DuckDBPyConnection,
) -> Seen:
    """What the last landing remembered of each file."""
    rows = connection.execute(
        "SELECT source, entity, file_name, size_bytes, modified_ns, file_id"
        " FROM warehouse.quality.landing_files"
    ).fetchall()
    return {tuple(row[:3]): tuple(row[3:]) for row in rows}


def identify(entity: Entity, path: Path, seen: Seen) -> File:
    """Recognise a file; it is hashed only when its size or modification time changed."""
    stat = path.stat()
    size, modified_ns, file_id = seen.get((entity.source, entity.name, path.name), (-1, -1, ""))
    if (size, modified_ns) != (stat.st_size, stat.st_mtime_ns):
        file_id = fingerprint(path).file_id
    return File(path, stat.st_size, stat.st_mtime_ns, file_id)


def known_files(connection: duckdb.DuckDBPyConnection, entity: Entity) -> list[Known]:
    """The ledger's lines of an entity, in the order of loading."""
    rows = connection.execute(
        """
        SELECT file_id, file_name, status, reason, declaration_version, load_order
        FROM warehouse.quality.load_ledger
        WHERE source = $1 AND entity = $2 ORDER BY load_order
        """,
        [entity.source, entity.name],
    ).fetchall()
    return [Known(*row) for row in rows]


def vault_is_whole(connection: duckdb.DuckDBPyConnection, entity: Entity) -> bool:
    """Whether the vault, if one is attached, knows every file whose rows the warehouse holds."""
    attached = connection.execute("SELECT 1 FROM duckdb_databases() WHERE database_name = 'vault'")
    if not entity.is_sensitive or not attached.fetchall():
        return True
    held = f"SELECT DISTINCT _file_id FROM warehouse.raw.{entity.table}"
    if not table_exists(connection, "vault", "raw", entity.table):
        return not connection.execute(held).fetchall()
    lost = f"{held} EXCEPT SELECT DISTINCT file_id FROM vault.raw.{entity.table}"
    return not connection.execute(lost).fetchall()


def make_plan(
    entity: Entity,
    files: list[File],
    known: list[Known],
    key: PseudonymKey,
    *,
    vault_is_whole: bool = True,
) -> Plan:
    """Compare what lies in the landing folder with what the ledger says was loaded, and how.

    A table is rebuilt when a file of it was loaded under another declaration, key or normaliser,
    or when the vault has lost what belongs to it.
    """
    version = entity.declaration_version(key.key_id, NORMALISER_VERSION)
    by_id = {k.file_id: k for k in known}
    rebuild = not vault_is_whole or any(
        k.status == "loaded" and k.declaration_version != version for k in known
    )
    first: dict[str, File] = {}
    last: dict[str, File] = {}
    for file in files:
        first.setdefault(file.file_id, file)
        last[file.file_id] = file
    if entity.delivery == "snapshot":
        first = last  # content that comes back under a newer name is the newest state
    again = [
        first[k.file_id]
        for k in known
        if k.file_id in first and (rebuild or k.declaration_version != version)
    ]
    new = [file for file in files if file.file_id not in by_id and first[file.file_id] is file]
    rename: dict[str, str] = {}
    if entity.delivery == "snapshot":
        state = max(
            (k for k in known if k.status == "loaded"), key=lambda k: k.file_name, default=None
        )
        for k in known:
            name = last[k.file_id].path.name if k.file_id in last else k.file_name
            if rebuild or name <= k.file_name or not (k.status == "loaded" or k.reason == "stale"):
                continue
            if k is not state and state and name > state.file_name:
                new.append(last[k.file_id])
            rename[k.file_id] = name
    todo = again + sorted(new, key=lambda file: file.path.name)
    ids = {file.file_id for file in todo}
    gone = [k for k in known if k.status == "loaded" and k.file_id not in first] if rebuild else []
    if rebuild and entity.delivery == "snapshot" and first:
        gone = []  # a snapshot replaces all older ones, so none of them is missed
    return Plan(
        version,
        rebuild,
        todo,
        [f for f in files if f.file_id not in ids or f not in todo],
        gone,
        rename,
    )


def refuse_missing(entity: Entity, plan: Plan, landing_dir: Path, *, forget: bool) -> None:
    """Raise `LandingError` when a rebuild needs files that are gone and may not be forgotten."""
    if plan.gone and not forget:
        raise LandingError(
            f"{entity.source}.{entity.name}: its declaration, key or normalisers changed, so its"
            " files must be read again, "
            f"but {len(plan.gone)} of them, {plan.gone[0].file_name} first, are no longer in "
            f"{landing_dir / entity.source}. Put them back from the backup, or set"
            " DSEGMENT_FORGET_MISSING=1 to go on without their rows"
        )


def remember_names(connection: duckdb.DuckDBPyConnection, entity: Entity, plan: Plan) -> None:
    """Note the newest name under which a known snapshot was delivered."""
    for file_id, name in plan.rename.items():
        connection.execute(
            """
            UPDATE warehouse.quality.load_ledger SET file_name = $1
            WHERE (source, entity, file_id) = ($2, $3, $4) AND file_name <> $1
            """,
            [name, entity.source, entity.name, file_id],
        )


def remember_files(
    connection: duckdb.DuckDBPyConnection,
    entities: list[Entity],
    files: dict[str, list[File]],
    seen: Seen,
    unsettled: set[tuple[str, str, str]],
) -> None:
    """Keep size and time of each settled file, so that the next look needs no hashing."""
    now = {
        (e.source, e.name, f.path.name): (f.size, f.modified_ns, f.file_id)
        for e in entities
        for f in files[e.table]
        if (e.source, e.name, f.path.name) not in unsettled
    }
    if now == seen:
        return
    with transaction(connection):
        connection.execute("DELETE FROM warehouse.quality.landing_files")
        for name, what in now.items():
            connection.execute(
                "INSERT INTO warehouse.quality.landing_files VALUES ($1, $2, $3, $4, $5, $6)",
                [*name, *what],
            )
