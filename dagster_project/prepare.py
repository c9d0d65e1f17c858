"""Set-up of a state folder: Dagster's settings, dbt's source declarations, dbt's manifest.

What belongs here: what must be there before definitions can load; each step does nothing when
nothing changed. What does not: data.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from dagster_project.resources import write_text
from dagster_project.settings import Settings
from landing.dbt_sources import write_dbt_sources
from landing.declarations import read_declarations


class PrepareError(RuntimeError):
    """dbt could not read its project; the message is dbt's own."""


def prepare_home(settings: Settings) -> None:
    """Make ready what definitions need.

    Raises:
        SettingsError: the state folder belongs to other sources.
        DeclarationError: ``sources.yml`` is wrong.
        PrepareError: the dbt project cannot be parsed.

    """
    declarations = read_declarations(settings.sources_file)
    declarations.selected_entities(settings.sources)  # a misspelt source claims no folder
    settings.claim_home()
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(settings.project_dir / "dagster.yaml", settings.dagster_home / "dagster.yaml")
    write_dbt_sources(declarations, settings.dbt_dir)
    _parse_dbt(settings)


def parsed_state(settings: Settings) -> str:
    """Which state of the dbt project the manifest was made from."""
    return _marker(settings).read_text()


def _marker(settings: Settings) -> Path:
    return settings.dbt_state_dir / "parsed"


def _parse_dbt(settings: Settings) -> None:
    marker = _marker(settings)
    state = _tree_hash(settings.dbt_dir)
    manifest = settings.dbt_state_dir / "target" / "manifest.json"
    if manifest.exists() and marker.exists() and marker.read_text() == state:
        return
    parsed = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "--quiet", "parse"],
        cwd=settings.dbt_dir,
        env={**os.environ, **settings.exported()},
        capture_output=True,
        text=True,
        check=False,
    )
    if parsed.returncode:
        raise PrepareError(f"dbt cannot read {settings.dbt_dir}:\n{parsed.stdout}{parsed.stderr}")
    write_text(marker, state)


def _tree_hash(folder: Path) -> str:
    """A hash of the names and contents below a folder; the project is small."""
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not {"target", "logs"} & set(path.relative_to(folder).parts):
            seen.update(str(path.relative_to(folder)).encode())
            seen.update(path.read_bytes())
    return seen.hexdigest()
