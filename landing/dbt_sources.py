"""dbt's source files, generated from `sources.yml`, so that a table is declared once.

The tables that landing makes by itself (`raw.as_of`, `raw.identity_*`, the ledger) are generated as
well.

Here belongs the translation of declarations into dbt's YAML. Tests and contracts of models belong
in `dbt/`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from landing.declarations import Declarations, Entity, RawColumn
from landing.tables import AS_OF, IDENTITY, LEDGER

_HEADER = "# Generated from sources.yml by landing/dbt_sources.py: edit sources.yml instead.\n"


def write_dbt_sources(declarations: Declarations, dbt_dir: Path) -> list[Path]:
    """Write `models/staging/<source>/_<source>__sources.yml` for each source.

    The table `raw.as_of` is declared in `models/staging/_run__sources.yml`, the tables
    `raw.identity_*` in `models/staging/identity/_identity__sources.yml`, the ledger in
    `models/staging/quality/_quality__sources.yml`. A file is written only when its content differs,
    so that dbt's partial parsing keeps working. Returns the files that changed.
    """
    staging = dbt_dir / "models" / "staging"
    wanted = {
        staging / "_run__sources.yml": _source_yaml(
            "run",
            "What holds for the run as a whole.",
            [
                _table(
                    "as_of",
                    "as_of",
                    "One row: the day and zone the warehouse is computed for.",
                    AS_OF,
                )
            ],
        ),
        staging / "identity" / "_identity__sources.yml": _source_yaml(
            "identity",
            "The rules of identity stitching: identity.yml and people's decisions.",
            [_table(name, f"identity_{name}", *said) for name, said in IDENTITY.items()],
        ),
        staging / "quality" / "_quality__sources.yml": _source_yaml(
            "quality",
            "What landing wrote down of its own work.",
            [_table("load_ledger", "load_ledger", "One row per file content and entity.", LEDGER)],
            schema="quality",
        ),
    }
    for name, source in declarations.sources.items():
        content = [_entity_table(entity) for entity in source.entities.values()]
        wanted[staging / name / f"_{name}__sources.yml"] = _source_yaml(
            name, source.description, content
        )
    changed = []
    for path, text in wanted.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed.append(path)
    return changed


def _entity_table(entity: Entity) -> dict[str, Any]:
    return _table(entity.name, entity.table, entity.description, entity.raw_columns)


def _table(
    name: str, identifier: str, description: str, columns: Iterable[RawColumn]
) -> dict[str, Any]:
    return {
        "name": name,
        "identifier": identifier,
        "description": description,
        "columns": [
            {"name": c.name, "data_type": c.sql_type.lower(), "description": c.description}
            for c in columns
        ],
    }


def _source_yaml(
    name: str, description: str, tables: list[dict[str, Any]], schema: str = "raw"
) -> str:
    said = {
        "version": 2,
        "sources": [{"name": name, "schema": schema, "description": description, "tables": tables}],
    }
    return _HEADER + yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=110)
