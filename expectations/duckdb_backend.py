"""Great Expectations on DuckDB: the execution engine, datasource and SQL rule it does not ship.

Here belongs: what Great Expectations needs to compute its metrics inside DuckDB, and nothing that
knows a suite. Importing this module imports Great Expectations; only the runner does so, when a
gate is really run.

Four things learned by running it (great-expectations 1.24.1, duckdb-engine 0.17, duckdb 2.0,
sqlalchemy 2.1):
- Great Expectations closes a connection before it fetches from it. DuckDB's cursor lives in the
  connection, so every metric dies with IndexError; one connection is kept for the whole gate.
- On a kept connection one failing query aborts the transaction and with it every later rule;
  so an error is followed by a rollback.
- duckdb-engine's reflection asks PostgreSQL catalogue tables that DuckDB has not; Great
  Expectations then falls back to a query that drops the schema. Columns are read from DuckDB's
  own catalogue instead.
- `UnexpectedRowsExpectation` runs its query twice, once for the count and once to fetch up to 200
  raw rows that this house never wants to see. The subclass here only counts.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import sqlalchemy as sa
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.core.unexpected_rows_expectation import (
    UnexpectedRowsExpectation,
)

# With Great Expectations' pydantic shim and duckdb-engine in one process the interpreter's last
# clean-up leaves DuckDB's types alive, and DuckDB's bindings then print sixty lines about leaks to
# stderr, after every run. Without the shim in the module table it ends in silence.
atexit.register(sys.modules.pop, "great_expectations.compatibility.pydantic", None)

_COLUMNS_QUERY = sa.text(
    "select schema_name, table_name, column_name from duckdb_columns() "
    "where database_name = current_database() and not internal "
    "order by schema_name, table_name, column_index"
)


class DuckDBCatalog:
    """Columns of every table and view, read once, in the shape of an SQLAlchemy inspector.

    Types are not read: no accepted expectation needs them.
    """

    def __init__(self, dialect: sa.Dialect, rows: Sequence[Sequence[str]]) -> None:
        self.dialect = dialect
        self._columns: dict[tuple[str, str], list[str]] = {}
        for schema, table, column in rows:
            self._columns.setdefault((schema, table), []).append(column)

    def column_names(self, schema: str, table: str) -> tuple[str, ...] | None:
        """Columns in order, or None when there is no such table or view."""
        names = self._columns.get((schema, table))
        return None if names is None else tuple(names)

    def get_columns(self, table_name: str, schema: str) -> list[dict[str, Any]]:
        """Columns as SQLAlchemy reports them; raises NoSuchTableError."""
        names = self.column_names(str(schema), str(table_name))
        if names is None:
            raise sa.exc.NoSuchTableError(f"{schema}.{table_name}")
        return [{"name": name, "type": sa.types.NullType()} for name in names]

    def get_pk_constraint(self, table_name: str, schema: str) -> dict[str, Any]:
        """No primary key: uniqueness is a rule here, not a constraint."""
        del table_name, schema
        return {"constrained_columns": []}


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """Runs all metrics of a gate on one kept connection, and survives a failing one."""

    _catalog: DuckDBCatalog | None = None

    @contextmanager
    def get_connection(self) -> Iterator[sa.Connection]:
        """The one connection of this engine, opened on first use."""
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection

    def execute_query(self, query: sa.Selectable | sa.TextClause) -> sa.CursorResult:
        """Run a query; after an error roll back, so that the next rule is judged on its own."""
        try:
            return super().execute_query(query)
        except sa.exc.SQLAlchemyError:
            if self._connection is not None:
                self._connection.rollback()
            raise

    def get_inspector(self) -> DuckDBCatalog:
        """The catalogue, read once a gate: nothing changes a table while a gate reads it."""
        if self._catalog is None:
            rows = self.execute_query(_COLUMNS_QUERY).fetchall()
            self._catalog = DuckDBCatalog(self.engine.dialect, [tuple(row) for row in rows])
        return self._catalog

    def close(self) -> None:
        """Close the kept connection and the pool; the file is then free for other settings."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self.engine.dispose()


class DuckDBDatasource(SQLDatasource):
    """A DuckDB file as a Great Expectations datasource (`context.data_sources.add_duckdb_file`)."""

    type: Literal["duckdb_file"] = "duckdb_file"

    @property
    def execution_engine_type(self) -> type[DuckDBExecutionEngine]:
        """The engine that keeps its connection."""
        return DuckDBExecutionEngine

    def close(self) -> None:
        """Release every connection this datasource and its execution engine opened."""
        if self._execution_engine is not None:
            self._execution_engine.close()
        if self._engine is not None:
            self._engine.dispose()


class ExpectNoUnexpectedRows(UnexpectedRowsExpectation):
    """An unexpected-rows rule that counts the bad rows inside the engine and fetches none."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (
        "unexpected_rows_query.row_count",
        "table.row_count",
    )

    def _validate(
        self,
        metrics: Mapping[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: SqlAlchemyExecutionEngine | None = None,
    ) -> dict[str, Any]:
        del runtime_configuration, execution_engine
        count = int(metrics["unexpected_rows_query.row_count"])
        return {
            "success": count == 0,
            "result": {
                "unexpected_count": count,
                "element_count": int(metrics["table.row_count"]),
            },
        }
