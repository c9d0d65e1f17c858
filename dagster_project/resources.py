"""The doors to the engine: ``Warehouse`` (DuckDB) and the dbt command line.

What belongs here: opening, locking, writing whole tables, refusing input that failed its gate.
What does not: any statement that knows what a table means.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
from filelock import FileLock, Timeout

from dagster_project.settings import Settings
from dagster_project.tables import PYTHON_TABLES, Table


class WarehouseBusyError(RuntimeError):
    """Another process held the warehouse longer than we waited."""


class GateRefusedError(RuntimeError):
    """An input's latest gate result failed; the message names table, rule and count."""


@dataclass(frozen=True)
class Write:
    """Rows that take the place of those where ``matching`` holds (of all, when it is empty).

    Many rows may come in parts, made while they are written; no key may be in two parts.
    """

    table: Table
    rows: pl.DataFrame | Iterable[pl.DataFrame]
    matching: Mapping[str, object] = field(default_factory=dict)


class Warehouse(dg.ConfigurableResource):
    """The one door to ``warehouse.duckdb`` and ``vault.duckdb``.

    DuckDB lets one process write at a time, so every connection is short and is held under one
    lock of the operating system, which dbt is run under as well.
    """

    home: str
    lock_timeout_seconds: float = 600.0
    memory_limit: str = "80%"

    @property
    def path(self) -> Path:
        """The warehouse's file."""
        return Path(self.home) / "warehouse.duckdb"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the warehouse against other processes.

        Raises:
            WarehouseBusyError: it stayed busy for ``lock_timeout_seconds``.

        """
        held = FileLock(Path(self.home) / "warehouse.lock", is_singleton=True)
        try:
            try:
                held.acquire(timeout=1)
            except Timeout:
                dg.get_dagster_logger().info(f"Another process uses {self.path}: waiting for it.")
                held.acquire(timeout=self.lock_timeout_seconds)
        except Timeout:
            raise WarehouseBusyError(
                f"Another process has been writing to {self.path} for more than "
                f"{self.lock_timeout_seconds:.0f} s. Wait for the other run to end, or raise "
                "DSEGMENT_LOCK_TIMEOUT (seconds)."
            ) from None
        try:
            yield
        finally:
            held.release()

    @contextmanager
    def connect(self, *, vault: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for a few statements; ``vault`` attaches the vault under that name.

        Only landing writes the vault; matching, the golden profile and activation read it.
        """
        with self.lock():
            connection = self._opened()
            try:
                connection.execute("set TimeZone = 'UTC'")
                connection.execute(f"set memory_limit = '{self.memory_limit}'")
                if vault:
                    connection.execute(f"attach '{Path(self.home) / 'vault.duckdb'}' as vault")
                yield connection
            finally:
                connection.close()

    def _opened(self) -> duckdb.DuckDBPyConnection:
        """Wait for programs that do not know our lock: a notebook, or the dbt of a killed run."""
        deadline = time.monotonic() + self.lock_timeout_seconds
        told = False
        while True:
            try:
                return duckdb.connect(self.path)
            except duckdb.IOException as error:
                if "lock" not in str(error):
                    raise
                if time.monotonic() > deadline:
                    raise WarehouseBusyError(
                        f"{self.path} is open in another program (a notebook, a DuckDB shell), and "
                        "DuckDB lets nobody else in. Close it there and run again."
                    ) from None
            if not told:
                dg.get_dagster_logger().warning(f"Another program has {self.path} open: waiting.")
                told = True
            time.sleep(1)

    def ensure_tables(self) -> None:
        """Make the tables that Python writes, and the columns that a newer version added."""
        with self.connect() as connection:
            for table in PYTHON_TABLES:
                connection.execute(f"create schema if not exists {table.schema}")
                connection.execute(table.ddl())
                connection.execute(f"comment on table {table.qualified} is '{table.grain}'")
                for column in table.columns:
                    connection.execute(
                        f"alter table {table.qualified} add column if not exists "
                        f'"{column.name}" {column.type}'
                    )
                    text = column.description.replace("'", "''")
                    connection.execute(
                        f"comment on column {table.qualified}.\"{column.name}\" is '{text}'"
                    )

    def read(self, query: str, parameters: Mapping[str, object] | None = None) -> pl.DataFrame:
        """The result of a query (or of a table's name) as a polars frame."""
        statement = query if " " in query else f"from {query}"
        with self.connect() as connection:
            return connection.sql(statement, params=dict(parameters or {})).pl()

    def write(self, *writes: Write) -> None:
        """All writes or none of them, in one transaction.

        Raises:
            ValueError: rows repeat a table's key.

        """
        with self.connect() as connection:
            connection.execute("begin")
            for write in writes:
                _replace_rows(connection, write)
            connection.execute("commit")

    def back_up(self, tables: Mapping[str, Sequence[str]], folder: Path) -> None:
        """Copy tables (``schema.name`` → key) that cannot be derived again to ``folder``.

        Each becomes ``<name>.parquet``, ordered by its key, whole or not at all.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with self.connect() as connection:
            for table, key in tables.items():
                target = _backup(folder, table)
                partial = target.with_suffix(".partial")
                ordered = f"from {table} order by {', '.join(key)}"
                connection.execute(f"copy ({ordered}) to '{partial}' (format parquet)")
                partial.replace(target)

    def restore(self, tables: Iterable[str], folder: Path) -> None:
        """Make tables (``schema.name``) that are missing here from their copies in ``folder``."""
        with self.connect() as connection:
            for table in tables:
                saved = _backup(folder, table)
                if saved.exists():
                    connection.execute(f"create schema if not exists {table.split('.')[0]}")
                    connection.execute(f"create table if not exists {table} as from '{saved}'")

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        """Rows of each table (``schema.name``) that exists."""
        with self.connect() as connection:
            present = {
                f"{schema}.{name}"
                for schema, name in connection.execute(
                    "select table_schema, table_name from information_schema.tables "
                    "where table_type = 'BASE TABLE'"
                ).fetchall()
            }
            return {
                table: connection.execute(f"select count(*) from {table}").fetchall()[0][0]
                for table in tables
                if table in present
            }

    def as_of(self) -> date:
        """The run's inclusive business day."""
        return self.read("raw.as_of")["as_of_date"].item()

    def failed_gates(self) -> pl.DataFrame:
        """One row per rule that failed when its table was last judged."""
        return self.read(
            """
            select gate, table_schema, table_name, rule, description, unexpected_count, details
            from quality.gate_results
            qualify checked_at = max(checked_at) over (partition by gate, table_schema, table_name)
                and not is_success
            order by all
            """
        )

    def require_gates(self, tables: Iterable[str]) -> None:
        """Refuse to go on from tables (``schema.name``) whose latest gate failed.

        Raises:
            GateRefusedError: naming each table, rule and count.

        """
        wanted = set(tables)
        failed = [
            f"{row['table_schema']}.{row['table_name']}: {row['rule']} "
            f"({row['unexpected_count'] or row['details'] or 'not met'})"
            for row in self.failed_gates().iter_rows(named=True)
            if f"{row['table_schema']}.{row['table_name']}" in wanted
        ]
        if failed:
            raise GateRefusedError(
                "The input failed its gate, so nothing was made from it and the last good tables "
                f"stay: {'; '.join(failed)}. Mend the data or the rule and run again."
            )


def warehouse_of(settings: Settings) -> Warehouse:
    """The door to the warehouse of a state folder."""
    return Warehouse(
        home=str(settings.home),
        lock_timeout_seconds=settings.lock_timeout_seconds,
        memory_limit=settings.memory_limit,
    )


def _replace_rows(connection: duckdb.DuckDBPyConnection, write: Write) -> None:
    table = write.table
    parts = [write.rows] if isinstance(write.rows, pl.DataFrame) else write.rows
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    condition = " and ".join(f'"{name}" = ?' for name in write.matching) or "true"
    connection.execute(
        f"delete from {table.qualified} where {condition}", list(write.matching.values())
    )
    for rows in parts:
        repeated = rows.select(table.key).is_duplicated().sum()
        if repeated:
            raise ValueError(f"{table.qualified}: {repeated} rows repeat the key {table.key}.")
        connection.register("incoming", rows.select([column.name for column in table.columns]))
        connection.execute(f"insert into {table.qualified} select {names} from incoming")
        connection.unregister("incoming")


def _backup(folder: Path, table: str) -> Path:
    return folder / f"{table.split('.')[1]}.parquet"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def export_environment(settings: Settings) -> None:
    """Let dbt and Dagster, which read the environment, find the state folder."""
    os.environ.update(settings.exported())
