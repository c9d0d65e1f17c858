"""How a Python-written table looks in the UI: grain, columns, group, owner, version.

What belongs here: turning a contract of ``tables.py`` into an asset spec.
What does not: anything that runs.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

import dagster as dg

from dagster_project.tables import Table


def table_spec(
    table: Table,
    *,
    deps: Sequence[dg.AssetKey] = (),
    owner: str,
    kinds: Iterable[str] = ("python", "duckdb"),
    code_version: str | None = None,
    freshness: dg.FreshnessPolicy | None = None,
) -> dg.AssetSpec:
    """The asset of a table that Python writes; its group is its schema."""
    return dg.AssetSpec(
        key=[table.schema, table.name],
        deps=list(deps),
        description=f"{table.grain}\n\nKey: {', '.join(table.key)}.",
        group_name=table.schema,
        owners=[owner],
        kinds=set(kinds),
        code_version=code_version,
        freshness_policy=freshness,
        metadata=table_metadata(
            table.qualified, ((c.name, c.type, c.description) for c in table.columns)
        ),
    )


def table_metadata(
    qualified: str, columns: Iterable[tuple[str, str, str]]
) -> dict[str, dg.TableSchema | str]:
    """Where a table is, and the name, type and meaning of its columns, as the UI shows them."""
    return {
        "dagster/table_name": f"warehouse.{qualified}",
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(name, type=sql_type.lower(), description=description)
                for name, sql_type, description in columns
            ]
        ),
    }


def version_of(*parts: ModuleType | Path | str) -> str:
    """A code version that changes with the code: the hash of modules, files and texts."""
    seen = hashlib.sha256()
    for part in parts:
        if isinstance(part, ModuleType):
            for path in sorted(Path(part.__file__).parent.glob("*.py")):
                seen.update(path.read_bytes())
        elif isinstance(part, Path):
            seen.update(part.read_bytes())
        else:
            seen.update(part.encode())
    return seen.hexdigest()[:16]


def data_version(context: dg.AssetExecutionContext, keys: Iterable[dg.AssetKey]) -> str:
    """The inputs' Dagster data versions in one: equal when the same code read the same files."""
    seen = hashlib.sha256()
    for key in keys:
        event = context.instance.get_latest_materialization_event(key)
        tags = (event.asset_materialization.tags if event else None) or {}
        seen.update(f"{key.to_user_string()}={tags.get('dagster/data_version')}\n".encode())
    return seen.hexdigest()[:16]
