"""What makes a dbt model out of date besides its own SQL."""

from copy import deepcopy

from dagster_project.assets.warehouse import Translator

MACRO = "macro.dsegment.feature_code_version"


def node(name: str, macros: list[str], tags: tuple[str, ...] = ("feature",)) -> dict:
    """A model as the manifest has it."""
    return {
        "unique_id": f"model.dsegment.{name}",
        "name": name,
        "resource_type": "model",
        "package_name": "dsegment",
        "tags": tags,
        "raw_code": f"select '{name}'",
        "checksum": {"checksum": name},
        "depends_on": {"macros": macros},
    }


def test_a_changed_feature_makes_the_fingerprints_of_days_stale_and_nothing_beside_it() -> None:
    models = [
        node("int_features__days_fingerprinted", [MACRO]),
        node("int_features__mix_measured", []),
        node("mart_customer_features", []),
        node("dim_stores", [], tags=()),
    ]
    macro = {
        "name": "feature_code_version",
        "package_name": "dsegment",
        "macro_sql": "",
        "depends_on": {"macros": []},
    }
    manifest = {
        "nodes": {model["unique_id"]: model for model in models},
        "macros": {MACRO: macro},
        "child_map": {},
    }

    def stale_after_a_change_of(name: str) -> set[str]:
        changed = deepcopy(manifest)
        changed["nodes"][f"model.dsegment.{name}"]["checksum"]["checksum"] = "another"
        return {
            model["name"]
            for key, model in manifest["nodes"].items()
            if Translator(manifest).get_code_version(model)
            != Translator(changed).get_code_version(changed["nodes"][key])
        }

    fingerprinted = "int_features__days_fingerprinted"
    mart, mix = "mart_customer_features", "int_features__mix_measured"
    assert stale_after_a_change_of(mart) == {mart, fingerprinted}
    assert stale_after_a_change_of(mix) == {mix, fingerprinted}
    assert stale_after_a_change_of("dim_stores") == {"dim_stores"}
