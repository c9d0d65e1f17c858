"""Set-up of a state folder: Dagster's settings, dbt's source declarations, dbt's manifest.

What belongs here: what must be there before definitions can load; each step does nothing when
nothing changed. What does not: data.
"""

import hashlib
import shutil
from pathlib import Path

from dagster_project.resources import write_text
from dagster_project.settings import Settings
from landing.dbt_sources import write_dbt_sources
from landing.declarations import read_declarations
from landing.identity_rules import read_identity


class PrepareError(RuntimeError):
    """dbt could not read its project; the message is dbt's own."""


def prepare_home(settings: Settings) -> None:
    """Make ready what definitions need.

    Raises:
        SettingsError: the state folder belongs to other sources.
        DeclarationError: ``sources.yml``, ``identity.yml`` or the decision file is wrong.
        PrepareError: the dbt project cannot be parsed.

    """
    declarations = read_declarations(settings.sources_file)
    declarations.selected_entities(settings.sources)  # a misspelt source claims no folder
    read_identity(settings.identity_file, settings.decisions_file, declarations)
    settings.claim_home()
    # What is backed up has a place from the first day, so that a backup names the same folders.
    for folder in (
        settings.dagster_home,
        settings.decisions_file.parent,
        settings.matching_dir,
        settings.history_dir,
    ):
        folder.mkdir(parents=True, exist_ok=True)
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
    from dagster_project.dbt_runner import DbtError, parse  # dbt takes a second to import

    try:
        parse(str(settings.dbt_dir))
    except DbtError as error:
        raise PrepareError(str(error)) from None
    write_text(marker, state)


def _tree_hash(folder: Path) -> str:
    """A hash of the names and contents below a folder; the project is small."""
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not {"target", "logs"} & set(path.relative_to(folder).parts):
            seen.update(str(path.relative_to(folder)).encode())
            seen.update(path.read_bytes())
    return seen.hexdigest()
