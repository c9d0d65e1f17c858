"""Which column comes from which columns, read from dbt's compiled SQL.

What belongs here: parsing SQL with sqlglot; no database is asked, since every column is declared.
What does not: showing it (``assets/warehouse.py``). dagster-dbt can do the same, but it looks every
table up through a connection that it leaves open, which stops the next writer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

DIALECT = "duckdb"
# column → the columns it comes from, each as (dbt unique_id, column).
Lineage = dict[str, list[tuple[str, str]]]


def column_lineage(manifest: Mapping[str, Any], target_path: Path) -> dict[str, Lineage]:
    """The lineage of every compiled model, by dbt's unique_id."""
    found = {}
    for unique_id, node in manifest["nodes"].items():
        compiled = target_path / "compiled" / node["package_name"] / node["original_file_path"]
        if node["resource_type"] == "model" and compiled.exists():
            found[unique_id] = _parse(manifest, node, compiled.read_text())
    return found


def _parse(manifest: Mapping[str, Any], node: Mapping[str, Any], sql: str) -> Lineage:
    parents = {
        unique_id: manifest["nodes"].get(unique_id) or manifest["sources"][unique_id]
        for unique_id in node["depends_on"]["nodes"]
    }
    query = sqlglot.parse_one(sql, dialect=DIALECT)
    if any(union.args.get("by_name") for union in query.find_all(exp.SetOperation)):
        return _by_name(node, parents)
    schema: dict[str, dict[str, dict[str, str]]] = {}
    tables = {}
    for unique_id, parent in parents.items():
        name = parent.get("identifier") or parent["name"]
        columns = dict.fromkeys(parent["columns"], "unknown")
        schema.setdefault(parent["schema"], {})[name] = columns
        tables[parent["schema"], name] = unique_id
    try:
        qualified = qualify(query.transform(_without_catalog), dialect=DIALECT, schema=schema)
        scope = build_scope(qualified)
        return {
            column: sorted(_leaves(column, qualified, scope, schema, tables))
            for column in qualified.named_selects
        }
    except SqlglotError:
        # A construct that sqlglot cannot follow yet: the table's own lineage still stands.
        return {column: [] for column in node["columns"]}


def _by_name(node: Mapping[str, Any], parents: Mapping[str, Any]) -> Lineage:
    """A union by name takes each column from the parents that have one of that name."""
    return {
        column: [(key, column) for key, parent in parents.items() if column in parent["columns"]]
        for column in node["columns"]
    }


def _leaves(
    column: str,
    query: exp.Expression,
    scope: Any,
    schema: Mapping[str, Any],
    tables: Mapping[tuple[str, str], str],
) -> set[tuple[str, str]]:
    leaves = set()
    for step in lineage(column, query, schema=schema, dialect=DIALECT, scope=scope).walk():
        table = None if step.downstream else step.expression.find(exp.Table)
        if table is not None and (table.db, table.name) in tables:
            leaves.add((tables[table.db, table.name], exp.to_column(step.name).name))
    return leaves


def _without_catalog(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Table):
        node.set("catalog", None)
    return node
