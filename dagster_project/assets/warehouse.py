"""The dbt project as assets: one dbt call a step builds and tests every selected model.

What belongs here: how dbt's nodes are named, versioned and described in Dagster.
What does not: SQL, which is all in ``dbt/``.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtProject,
    dbt_assets,
)
from dagster_dbt.core.dbt_event_iterator import DbtDagsterEventType

from dagster_project.column_lineage import column_lineage
from dagster_project.dbt_runner import Dbt
from dagster_project.feature_dictionary import MART, feature_dictionary, feature_metadata
from dagster_project.resources import Warehouse
from dagster_project.settings import Settings
from dagster_project.tables import DBT_HISTORIES

# Those models, and all that they read. What stands before matching is made before it.
BEFORE_MATCHING = (
    "+int_identity__people_linked +int_identity__people_corroborated +int_people__profiles_unioned"
)


class Translator(DagsterDbtTranslator):
    """Names a node ``[schema, table]`` and versions it by all that decides its rows."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        super().__init__(settings=DagsterDbtTranslatorSettings(enable_code_references=False))
        self._manifest = manifest

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """``[schema, table]``, for models and sources alike."""
        name = dbt_resource_props.get("identifier") or dbt_resource_props["name"]
        return dg.AssetKey([dbt_resource_props["schema"], name])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The model's own words and where its SQL is, without the SQL itself."""
        description = dbt_resource_props["description"].strip()
        return f"{description}\n\nFile `dbt/{dbt_resource_props['original_file_path']}`."

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Columns with their meanings; for the mart of features, its dictionary too."""
        metadata = dict(super().get_metadata(dbt_resource_props))
        if ".".join(self.get_asset_key(dbt_resource_props).path) == MART:
            metadata |= feature_metadata(feature_dictionary())
        return metadata

    def get_asset_check_spec(self, *args: Any, **kwargs: Any) -> dg.AssetCheckSpec | None:
        """A dbt test as a check that says in words what it holds a table to."""
        check = super().get_asset_check_spec(*args, **kwargs)
        if check is None:
            return None
        test = self._manifest["nodes"][check.metadata["dagster_dbt/unique_id"]]
        return check._replace(description=_meaning(test))

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """All SQL belongs to the analytics engineers."""
        return ["team:analytics-engineering"]

    def get_code_version(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Hash of the SQL, the project's macros it uses, its contract and its tests."""
        nodes, macros = self._manifest["nodes"], self._manifest["macros"]
        unique_id = dbt_resource_props["unique_id"]
        tests = [
            nodes[child]["raw_code"] + json.dumps(nodes[child].get("test_metadata"), sort_keys=True)
            for child in sorted(self._manifest["child_map"].get(unique_id, []))
            if child.startswith("test.")
        ]
        behind = self._macros_behind(dbt_resource_props)
        used = [
            macros[macro]["macro_sql"]
            for macro in sorted(behind)
            if macros[macro]["package_name"] == dbt_resource_props["package_name"]
        ]
        if any(macros[macro]["name"] == "feature_code_version" for macro in behind):
            # What that macro hashes: else a changed feature finds no snapshot due.
            used += [
                nodes[name]["checksum"]["checksum"]
                for name in sorted(nodes)
                if nodes[name]["resource_type"] == "model" and "feature" in nodes[name]["tags"]
            ]
        contract = {
            name: column.get("data_type")
            for name, column in dbt_resource_props.get("columns", {}).items()
        }
        parts = [
            dbt_resource_props.get("raw_code", ""),
            dbt_resource_props.get("checksum", {}).get("checksum", ""),
            json.dumps(contract),
            *used,
            *tests,
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _macros_behind(self, dbt_resource_props: Mapping[str, Any]) -> set[str]:
        """The macros of a node, those they call, and its own materialisation, which dbt omits."""
        macros = self._manifest["macros"]
        kind = dbt_resource_props.get("config", {}).get("materialized")
        materialisation = f"materialization_{kind}_duckdb"
        waiting = list(dbt_resource_props.get("depends_on", {}).get("macros", [])) + [
            name for name, macro in macros.items() if macro["name"] == materialisation
        ]
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in macros and name not in found:
                found.add(name)
                waiting += macros[name]["depends_on"]["macros"]
        return found


def _meaning(test: Mapping[str, Any]) -> str:
    """A dbt test's description, or what its arguments say, or the sentence that is its name."""
    if test["description"]:
        return test["description"]
    if not test.get("test_metadata"):
        return test["name"].removeprefix("assert_").replace("_", " ").capitalize() + "."
    arguments = {k: v for k, v in test["test_metadata"]["kwargs"].items() if k != "model"}
    said = ", ".join(f"{name} = {value}" for name, value in arguments.items())
    return f"{test['test_metadata']['name']}: {said}"


class _Described:
    """Adds row counts and column lineage to dbt's materialisations."""

    def __init__(
        self,
        manifest: Mapping[str, Any],
        target_path: Path,
        warehouse: Warehouse,
        translator: Translator,
    ) -> None:
        self._nodes = {**manifest["nodes"], **manifest["sources"]}
        self._translator = translator
        self._lineage = column_lineage(manifest, target_path)
        self._counts = warehouse.counts(
            f"{node['schema']}.{node['name']}"
            for node in manifest["nodes"].values()
            if node["resource_type"] in ("model", "seed")
        )

    def __call__(self, event: DbtDagsterEventType) -> DbtDagsterEventType:
        """The event, with what is known of the table it is about."""
        if not isinstance(event, dg.Output):
            return event
        unique_id = event.metadata["unique_id"].text
        node = self._nodes[unique_id]
        # Of dbt's own notes, only those that say something of the table.
        metadata: dict[str, Any] = {
            name: value
            for name, value in event.metadata.items()
            if name not in ("unique_id", "invocation_id", "status")
        }
        count = self._counts.get(f"{node['schema']}.{node['name']}")
        if count is not None:
            metadata["dagster/row_count"] = count
        if unique_id in self._lineage:
            metadata["dagster/column_lineage"] = self._column_lineage(unique_id)
            metadata["columns_come_from"] = self._column_origins(unique_id)
        return event.with_metadata(metadata)

    def _column_lineage(self, unique_id: str) -> dg.TableColumnLineage:
        return dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(
                        asset_key=self._translator.get_asset_key(self._nodes[parent]),
                        column_name=name,
                    )
                    for parent, name in origins
                ]
                for column, origins in self._lineage[unique_id].items()
            }
        )

    def _column_origins(self, unique_id: str) -> dg.MarkdownMetadataValue:
        """The same for people: the open-source UI keeps column lineage but draws it nowhere."""
        rows = [
            f"| {column} | "
            + ", ".join(
                f"{self._translator.get_asset_key(self._nodes[parent]).to_user_string()}.{name}"
                for parent, name in origins
            ).replace("/", ".")
            + " |"
            for column, origins in self._lineage[unique_id].items()
        ]
        return dg.MetadataValue.md("\n".join(["| column | comes from |", "|---|---|", *rows]))


def warehouse_assets(settings: Settings, project: DbtProject) -> list[dg.AssetsDefinition]:
    """Every dbt model and seed as an asset, every dbt test as a check, in two steps.

    Matching compares the people whom shared identifiers make, so it stands between the two.
    """
    manifest = json.loads(Path(project.manifest_path).read_text())
    return [
        # A test that reads both sides waits until both are there; one that reads a model which is
        # up to date and not made again runs all the same.
        _step("links", project, manifest, select=BEFORE_MATCHING, indirect="buildable"),
        _step(
            "warehouse",
            project,
            manifest,
            exclude=BEFORE_MATCHING,
            afterwards=lambda warehouse: warehouse.back_up(DBT_HISTORIES, settings.history_dir),
        ),
    ]


def _step(
    name: str,
    project: DbtProject,
    manifest: Mapping[str, Any],
    *,
    select: str = "fqn:*",
    exclude: str | None = None,
    indirect: str = "eager",
    afterwards: Callable[[Warehouse], None] = lambda _: None,
) -> dg.AssetsDefinition:
    translator = Translator(manifest)

    @dbt_assets(
        manifest=manifest,
        project=project,
        name=name,
        select=select,
        exclude=exclude,
        dagster_dbt_translator=translator,
        pool="warehouse",
    )
    def build_models(
        context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse
    ) -> Iterator[Any]:
        warehouse.require_gates(
            [f"{node['schema']}.{node['identifier']}" for node in manifest["sources"].values()]
            + ["quality.load_ledger"]
        )
        with warehouse.lock():
            # dbt holds the database until it ends, so what it made is counted afterwards.
            events, failure = dbt.build(context, manifest, translator, indirect_selection=indirect)
        described = _Described(manifest, project.target_path, warehouse, translator)
        yield from map(described, events)
        if failure:
            raise failure
        afterwards(warehouse)

    return build_models
