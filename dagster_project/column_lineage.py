"""Which column comes from which columns, read from dbt's compiled SQL.

What belongs here: parsing SQL with sqlglot; no database is asked, since every column is declared.
What does not: showing it (``assets/warehouse.py``). dagster-dbt can do the same, but it looks every
table up through a connection that it leaves open, which stops the next writer.
"""

import hashlib
import json
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
VERSION = 1  # raise it when the same SQL would be read differently
# column → the columns it comes from, each as (dbt unique_id, column).
Lineage = dict[str, list[tuple[str, str]]]


def column_lineage(manifest: Mapping[str, Any], target_path: Path) -> dict[str, Lineage]:
    """The lineage of every compiled model, by dbt's unique_id.

    What was found is kept in ``column_lineage.json`` beside dbt's own files, since parsing takes
    longer than many a model; a model is parsed again when its SQL or its parents' columns change.
    """
    kept_file = target_path / "column_lineage.json"
    kept = json.loads(kept_file.read_text()) if kept_file.exists() else {}
    found = {}
    for unique_id, node in manifest["nodes"].items():
        compiled = target_path / "compiled" / node["package_name"] / node["original_file_path"]
        if node["resource_type"] != "model" or not compiled.exists():
            continue
        sql, parents = compiled.read_text(), _parents(manifest, node)
        columns = {parent: list(known["columns"]) for parent, known in parents.items()}
        read = hashlib.sha256(json.dumps([VERSION, sql, columns]).encode()).hexdigest()
        found[unique_id] = kept.get(unique_id)
        if not found[unique_id] or found[unique_id]["read"] != read:
            found[unique_id] = {"read": read, "lineage": _parse(node, parents, sql)}
    if found != kept:
        kept_file.write_text(json.dumps(found))
    return {unique_id: known["lineage"] for unique_id, known in found.items()}


def _parents(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    return {
        unique_id: manifest["nodes"].get(unique_id) or manifest["sources"][unique_id]
        for unique_id in node["depends_on"]["nodes"]
    }


def _parse(node: Mapping[str, Any], parents: Mapping[str, Any], sql: str) -> Lineage:
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
        # A star that sqlglot could not spell out names no column.
        if table is not None and (table.db, table.name) in tables and not step.name.endswith("*"):
            leaves.add((tables[table.db, table.name], exp.to_column(step.name).name))
    return leaves


def _without_catalog(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Table):
        node.set("catalog", None)
    return node
