"""Dagster's event log in SQLite, with connections that are kept.

What belongs here: how the event log is opened. What does not: what is in it; that is Dagster's.

Dagster opens a new engine and connection for each of the thousand events of a run, and waits for
the disk after each: about a tenth of a run on a small warehouse. SQLite's write-ahead log, which
Dagster turns on, stays whole without that wait; only a power cut may lose the last events.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

from dagster_project.settings import Settings

# The index and the run that is under way, and a few that the UI looks at.
KEPT_ENGINES = 4
BUSY_TIMEOUT_SECONDS = 30


class PooledEventLogStorage(SqliteEventLogStorage):
    """The same files as Dagster's own, so that either can take over from the other."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables_seen: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing to configure: the place follows from the state folder."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> Self:
        """Where Dagster would keep it by itself."""
        folder = Settings.from_environment().dagster_home / "history" / "runs"
        return cls(base_dir=str(folder), inst_data=inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.get(shard) or self._opened(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table; Dagster asks for each event, and none ever goes."""
        if table_name not in self._tables_seen and super().has_table(table_name):
            self._tables_seen.add(table_name)
        return table_name in self._tables_seen

    def _opened(self, shard: str) -> Engine:
        while len(self._engines) >= KEPT_ENGINES:
            self._engines.pop(next(iter(self._engines))).dispose()
        engine = create_engine(
            self.conn_string_for_shard(shard), connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
        )
        event.listen(engine, "connect", _trust_the_log)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        self._engines[shard] = engine
        return engine


def _trust_the_log(connection: Any, _: object) -> None:
    connection.execute("pragma synchronous = normal")
