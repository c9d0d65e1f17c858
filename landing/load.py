"""Landing: bring the raw tables in step with the landing folders, and say what was done.

Here belong the run over all entities, rebuilding a table, reconciling the vault, and the day that
is "today". What happens to each file is decided in `plan`; one file's writes are in `deliver`.

Whenever a run is stopped, `quality.load_ledger` tells what the raw tables hold, and for every file
rows_read = rows_loaded + rows_quarantined.

What a table holds does not depend on the order in which files arrived: a snapshot is its newest
file by name, an upsert keeps the highest (version, file name, row), and an append without a key
holds each content as often as the one file that has it most often. Only an append with a key
depends on it, since it keeps the row that came first; reading its files again follows the order of
the ledger and gives the same rows.

Databases and REST APIs: a `dlt` pipeline writes parquet into `landing/<source>/` before `land` is
called. Its files are then like any other, and nothing here changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from landing import tables
from landing.checks import JUDGED_TABLE, TYPED_TABLE
from landing.declarations import Declarations, Entity
from landing.deliver import FileOutcome, land_file
from landing.identity_rules import Identity, refuse_unblockable
from landing.identity_tables import stale_identity_tables, write_identity_tables
from landing.plan import (
    File,
    LandingError,
    Plan,
    files_seen,
    identify,
    known_files,
    list_files,
    make_plan,
    refuse_missing,
    remember_files,
    remember_names,
    vault_is_whole,
)
from landing.pseudonyms import PseudonymKey
from landing.readers import REJECTS_TABLE, TEXT_TABLE
from landing.tables import TableState, ensure_tables, transaction

__all__ = [
    "FileOutcome",
    "LandingError",
    "LandingResult",
    "Progress",
    "TableState",
    "ensure_tables",
    "land",
    "pending",
    "reconcile",
]


@dataclass(frozen=True)
class LandingResult:
    """What one call of `land` did and found."""

    files: list[FileOutcome]
    tables: list[TableState]
    as_of_date: date | None
    unclaimed: list[str] = field(default_factory=list)
    """Files in the landing folders that no entity's pattern matches, as source/name."""
    identity: list[TableState] = field(default_factory=list)
    """The tables `raw.identity_*`; none when no rules were given."""

    @property
    def changed(self) -> bool:
        """Whether any file was loaded or refused in this call."""
        return any(file.status in ("loaded", "refused") for file in self.files)


@dataclass(frozen=True)
class Progress:
    """A step of landing, for a person to read or a test to stop at.

    `stage` is reading, vault_written or landed; only landed has an `outcome`.
    """

    stage: str
    source: str
    entity: str
    file_name: str
    position: int
    total: int
    outcome: FileOutcome | None = None

    def __str__(self) -> str:
        text = f"[{self.position}/{self.total}] {self.source}.{self.entity} {self.file_name}"
        if not self.outcome:
            return f"{text}: {self.stage}"
        if self.outcome.status == "refused":
            return f"{text}: refused, {self.outcome.reason}"
        counts = f"{self.outcome.rows_loaded:,} rows, {self.outcome.rows_quarantined:,} quarantined"
        return f"{text}: {counts}"


def land(
    connection: duckdb.DuckDBPyConnection,
    declarations: Declarations,
    selected: Iterable[str],
    landing_dir: Path,
    key: PseudonymKey,
    as_of: date | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    *,
    forget_missing: bool = False,
    identity: Identity | None = None,
) -> LandingResult:
    """Bring the raw tables of the selected sources in step with their landing folders.

    Args:
        connection: opened on the warehouse (catalogue `warehouse`) with the vault attached as
            `vault`; written to.
        declarations: the checked `sources.yml`.
        selected: names of the sources to land.
        landing_dir: folder with one folder of files per source.
        key: the pseudonym key.
        as_of: the day that is "today"; by default the last event date, in the business's zone.
        progress: called at each step of each file.
        forget_missing: when a changed declaration asks for files that are gone from the landing
            folder, go on without their rows instead of raising.
        identity: the checked `identity.yml` and decision file; without them `raw.identity_*` are
            left as they are, empty at first.

    Raises:
        DeclarationError: a source is not declared, or a file name matches two entities.
        IdentityRulesError: `identity.yml` blocks what no identifier can be.
        LandingError: files needed again are gone, or the engine failed for a reason other than a
            file's content.

    """
    names = tuple(dict.fromkeys(selected))
    entities = declarations.selected_entities(names)
    connection.execute("SET TimeZone = 'UTC'")
    ensure_tables(connection, declarations)
    reconcile(connection, declarations)
    if identity and stale_identity_tables(connection, declarations, identity, key):
        refuse_unblockable(identity, declarations)  # before hours of reading, not after
    listing, unclaimed = list_files(landing_dir, names, entities)
    seen = files_seen(connection)
    files = {e.table: [identify(e, path, seen) for path in listing[e.table]] for e in entities}
    plans = {e.table: _planned(connection, e, files[e.table], key) for e in entities}
    for entity in entities:
        refuse_missing(entity, plans[entity.table], landing_dir, forget=forget_missing)

    outcomes: list[FileOutcome] = []
    total, position = sum(len(plan.todo) for plan in plans.values()), 0
    for entity in entities:
        plan = plans[entity.table]
        if plan.rebuild:
            _begin_rebuild(connection, entity, plan)
        outcomes += [
            FileOutcome(entity.source, entity.name, file.path.name, file.file_id, "known")
            for file in plan.known
        ]
        for file in plan.todo:
            position += 1

            def step(
                stage: str,
                outcome: FileOutcome | None = None,
                entity: Entity = entity,
                file: File = file,
                position: int = position,
            ) -> None:
                where = (entity.source, entity.name, file.path.name)
                progress(Progress(stage, *where, position, total, outcome))

            step("reading")
            outcome = land_file(connection, entity, file, plan.version, key, step)
            outcomes.append(outcome)
            step("landed", outcome)
        remember_names(connection, entity, plan)
        if plan.todo and entity.delivery != "append":
            _forget_replaced(connection, entity)
    unsettled = {(o.source, o.entity, o.file_name) for o in outcomes if o.status == "unsettled"}
    remember_files(connection, entities, files, seen, unsettled)
    as_of_date = _set_as_of(connection, declarations, entities, as_of)
    for table in (TEXT_TABLE, REJECTS_TABLE, TYPED_TABLE, JUDGED_TABLE):
        connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    for name in {c.name for e in entities for c in e.pseudonymised}:
        connection.execute(f"DROP TABLE IF EXISTS temp.landing_map_{name}")
    states = [_state(connection, entity, plans[entity.table].version) for entity in entities]
    rules = write_identity_tables(connection, declarations, identity, key) if identity else []
    return LandingResult(outcomes, states, as_of_date, unclaimed, rules)


def pending(
    connection: duckdb.DuckDBPyConnection,
    declarations: Declarations,
    selected: Iterable[str],
    landing_dir: Path,
    key: PseudonymKey,
    as_of: date | None = None,
    *,
    identity: Identity | None = None,
) -> list[str]:
    """Say in words what `land` would have to do; empty when there is nothing.

    Writes nothing. The vault need not be attached; its loss is noticed only when it is. Files whose
    size and modification time are unchanged since the last landing are not hashed again.
    """
    names = tuple(dict.fromkeys(selected))
    entities = declarations.selected_entities(names)
    if not tables.table_exists(connection, "warehouse", "quality", "landing_files"):
        return ["nothing has been landed yet"]
    missing = [
        e.table for e in declarations.entities if not tables.has_declared_columns(connection, e)
    ]
    if missing:
        return [f"raw.{table} does not stand as declared" for table in missing]
    listing, _ = list_files(landing_dir, names, entities)
    seen = files_seen(connection)
    reasons = []
    for entity in entities:
        files = [identify(entity, path, seen) for path in listing[entity.table]]
        plan = _planned(connection, entity, files, key)
        if plan.rebuild:
            reasons.append(f"{entity.source}.{entity.name}: its declaration, key or vault changed")
        elif plan.todo:
            reasons.append(f"{entity.source}.{entity.name}: {len(plan.todo)} new file(s)")
        elif plan.rename:
            reasons.append(
                f"{entity.source}.{entity.name}: a snapshot was delivered again under a newer name"
            )
    held = connection.execute("SELECT * FROM warehouse.raw.as_of").fetchall()
    wanted = as_of or _last_event_date(connection, declarations, entities)
    if held != _as_of_rows(declarations, wanted):
        reasons.append(f"the day of the run becomes {wanted}")
    if identity:
        stale = stale_identity_tables(connection, declarations, identity, key)
        reasons += [f"raw.identity_{name}: what it is made from changed" for name in stale]
    return reasons


def reconcile(connection: duckdb.DuckDBPyConnection, declarations: Declarations) -> int:
    """Remove the vault rows that belong to no row of the warehouse; return how many.

    A kill between the two writes leaves such rows, and so does a row that was replaced. Call
    `ensure_tables` first.
    """
    removed = 0
    for entity in declarations.entities:
        if not entity.is_sensitive or not tables.table_exists(
            connection, "vault", "raw", entity.table
        ):
            continue
        orphans = connection.execute(
            f"""
            SELECT DISTINCT file_id FROM vault.raw.{entity.table}
            WHERE file_id NOT IN (SELECT file_id FROM warehouse.quality.load_ledger
                                  WHERE source = $1 AND entity = $2 AND status = 'loaded')
            """,
            [entity.source, entity.name],
        ).fetchall()
        if orphans:
            doomed = "file_id IN (SELECT unnest($1::VARCHAR[]))"
            statement = f"DELETE FROM vault.raw.{entity.table} WHERE {doomed}"
            removed += _count_changed(connection, statement, [[file_id for (file_id,) in orphans]])
        if entity.delivery != "append":
            removed += _forget_replaced(connection, entity)
    return removed + _count_changed(
        connection,
        """
        DELETE FROM vault.quarantine.rows AS v WHERE NOT EXISTS (
            SELECT 1 FROM warehouse.quality.load_ledger AS l
            WHERE (l.source, l.entity, l.file_id) = (v.source, v.entity, v.file_id)
              AND l.rows_quarantined > 0)
        """,
        [],
    )


def _planned(
    connection: duckdb.DuckDBPyConnection, entity: Entity, files: list[File], key: PseudonymKey
) -> Plan:
    whole = vault_is_whole(connection, entity)
    return make_plan(entity, files, known_files(connection, entity), key, vault_is_whole=whole)


def _begin_rebuild(connection: duckdb.DuckDBPyConnection, entity: Entity, plan: Plan) -> None:
    """Empty what was loaded under the old declaration.

    Until a file is read again, its ledger line is marked `to_be_reloaded`.
    """
    with transaction(connection):
        tables.replace_vault_table(connection, entity)
    mine = [entity.source, entity.name]
    with transaction(connection):
        tables.replace_tables(connection, entity)
        connection.execute(
            "DELETE FROM warehouse.quality.quarantine WHERE source = $1 AND entity = $2", mine
        )
        connection.execute(
            """
            UPDATE warehouse.quality.load_ledger
            SET status = 'refused', reason = 'to_be_reloaded', note = NULL,
                declaration_version = '',
                rows_read = 0, rows_loaded = 0, rows_quarantined = 0
            WHERE source = $1 AND entity = $2
            """,
            mine,
        )
        kept = [file.file_id for file in plan.todo]
        connection.execute(
            """
            DELETE FROM warehouse.quality.load_ledger
            WHERE source = $1 AND entity = $2 AND file_id NOT IN (SELECT unnest($3::VARCHAR[]))
            """,
            [*mine, kept],
        )


def _forget_replaced(connection: duckdb.DuckDBPyConnection, entity: Entity) -> int:
    """Drop from the vault the rows that a newer snapshot or version replaced in the warehouse."""
    if not entity.is_sensitive:
        return 0
    return _count_changed(
        connection,
        f"""
        DELETE FROM vault.raw.{entity.table} AS v WHERE NOT EXISTS (
            SELECT 1 FROM warehouse.raw.{entity.table} AS r
            WHERE r._file_id = v.file_id AND r._row_number = v.row_number)
        """,
        [],
    )


def _set_as_of(
    connection: duckdb.DuckDBPyConnection,
    declarations: Declarations,
    entities: list[Entity],
    as_of: date | None,
) -> date | None:
    day = as_of or _last_event_date(connection, declarations, entities)
    wanted = _as_of_rows(declarations, day)
    if connection.execute("SELECT * FROM warehouse.raw.as_of").fetchall() != wanted:
        with transaction(connection):
            connection.execute("DELETE FROM warehouse.raw.as_of")
            for row in wanted:
                connection.execute("INSERT INTO warehouse.raw.as_of VALUES ($1, $2, $3)", row)
    return day


def _as_of_rows(declarations: Declarations, day: date | None) -> list[tuple[date, str, str]]:
    return [(day, declarations.business.zone, declarations.business.currency)] if day else []


def _last_event_date(
    connection: duckdb.DuckDBPyConnection, declarations: Declarations, entities: list[Entity]
) -> date | None:
    days = []
    for entity in entities:
        column = next((c for c in entity.columns if c.name == entity.event_time), None)
        if column is None:
            continue
        last = f'max("{column.name}")'
        if column.type == "timestamp":
            last = f"(({last} AT TIME ZONE 'UTC') AT TIME ZONE $1)::DATE"
            days += connection.execute(
                f"SELECT {last} FROM warehouse.raw.{entity.table}", [declarations.business.zone]
            ).fetchall()
        else:
            days += connection.execute(
                f"SELECT {last} FROM warehouse.raw.{entity.table}"
            ).fetchall()
    return max((day for (day,) in days if day), default=None)


def _state(connection: duckdb.DuckDBPyConnection, entity: Entity, version: str) -> TableState:
    known = [k for k in known_files(connection, entity) if k.status == "loaded"]
    if entity.delivery == "snapshot":
        known = sorted(known, key=lambda k: k.file_name)[-1:]
    loaded = [k.file_id for k in known]
    data_version = hashlib.sha256("\n".join([version, *loaded]).encode()).hexdigest()[:16]
    (count,) = connection.execute(f"SELECT count(*) FROM warehouse.raw.{entity.table}").fetchall()[
        0
    ]
    return TableState(entity.source, entity.name, entity.table, data_version, count)


def _count_changed(
    connection: duckdb.DuckDBPyConnection, statement: str, parameters: list[object]
) -> int:
    return int(connection.execute(statement, parameters).fetchall()[0][0])
