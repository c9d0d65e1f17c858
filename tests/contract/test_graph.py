"""What is promised about the shape of the graph: its assets and checks, and the layers of the SQL.

The graph stands in ``graph.txt``; after a change that is meant, write it anew with
``python tests/contract/test_graph.py`` and read the difference.
"""

import json
import tempfile
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from dagster_project.definitions import build_defs
from dagster_project.prepare import prepare_home
from dagster_project.resources import export_environment
from dagster_project.settings import PROJECT_DIR, Settings

PINNED = Path(__file__).with_name("graph.txt")


def prepared(home: Path) -> Settings:
    """Settings of a folder in which definitions can load."""
    settings = Settings(home=home)
    export_environment(settings)
    prepare_home(settings)
    return settings


def graph_of(settings: Settings) -> str:
    """One line per asset: key, group, what it is made from, and its checks."""
    graph = build_defs(settings).resolve_asset_graph()
    checks: dict[Any, list[str]] = {}
    for check in graph.asset_check_keys:
        checks.setdefault(check.asset_key, []).append(check.name)
    lines = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        parents = sorted(parent.to_user_string() for parent in node.parent_keys)
        lines.append(
            f"{key.to_user_string()} [{node.group_name}]"
            + "".join(f"\n  from {parent}" for parent in parents)
            + "".join(f"\n  check {name}" for name in sorted(checks.get(key, [])))
        )
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepared(tmp_path_factory.mktemp("contract") / "home")


@pytest.fixture(scope="module")
def manifest(settings: Settings) -> dict[str, Any]:
    return json.loads((settings.dbt_state_dir / "target" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        unique_id: node
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model"
    }


def test_the_graph_is_the_pinned_one(settings: Settings) -> None:
    assert graph_of(settings) == PINNED.read_text()


def test_every_asset_says_its_grain_and_its_owner(settings: Settings) -> None:
    graph = build_defs(settings).resolve_asset_graph()
    mute = [
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if not graph.get(key).owners
        or not (graph.get(key).description or "").startswith(("One row", "One HTML file"))
    ]
    assert mute == []


def test_no_arrow_between_two_groups_goes_back(settings: Settings) -> None:
    graph = build_defs(settings).resolve_asset_graph()
    rooms: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        room = graph.get(key).group_name
        before = {graph.get(parent).group_name for parent in graph.get(key).parent_keys}
        rooms.setdefault(room, set()).update(before - {room})
    order = list(TopologicalSorter(rooms).static_order())  # raises a CycleError that names the ring
    assert (order[0], order[-1]) == ("raw", "reports")


def test_only_staging_reads_sources_and_staging_reads_nothing_else(models: dict[str, Any]) -> None:
    for unique_id, node in models.items():
        sources = [parent for parent in node["depends_on"]["nodes"] if parent.startswith("source.")]
        if node["fqn"][1] == "staging":
            assert sources == node["depends_on"]["nodes"], f"{unique_id} reads a model"
            assert len({source.split(".")[2] for source in sources}) == 1, f"{unique_id} mixes"
        else:
            assert sources == [], f"{unique_id} reads {sources} past staging"


def test_every_mart_is_contracted_and_every_column_described(models: dict[str, Any]) -> None:
    for unique_id, node in models.items():
        assert node["patch_path"], f"{unique_id} has no yml beside it"
        bare = [name for name, column in node["columns"].items() if not column["description"]]
        assert bare == [], f"{unique_id} does not describe {bare}"
        if node["fqn"][1] == "marts":
            assert node["config"]["contract"]["enforced"], f"{unique_id} has no contract"


def test_no_room_keeps_a_python_package_in_dbt() -> None:
    assert not (PROJECT_DIR / "dbt" / "__init__.py").exists()  # it would shadow the dbt package


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PINNED.write_text(graph_of(prepared(Path(folder) / "home")))


def test_every_macro_that_features_are_written_with_is_hashed_with_them(
    manifest: dict[str, Any], models: dict[str, Any]
) -> None:
    bookkeeping = "macros/feature_snapshots.sql"
    hashed = manifest["macros"]["macro.dsegment.feature_code_version"]["depends_on"]["macros"]
    used = {
        macro
        for model in models.values()
        if "feature" in model["tags"]
        for macro in model["depends_on"]["macros"]
        if macro.startswith("macro.dsegment.")
        and manifest["macros"][macro]["original_file_path"] != bookkeeping
    }
    assert used
    assert sorted(used - set(hashed)) == []
