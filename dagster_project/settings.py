"""Environment → typed settings. The only reader of the environment; no fallback, no guessing.

What belongs here: names of environment variables, defaults, paths inside the state folder.
What does not: anything that opens a file or a database, except the state folder's own marker.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
TARGETS = ("duckdb",)


class SettingsError(ValueError):
    """A setting cannot be used; the message names the variable and what to do."""


@dataclass(frozen=True)
class Settings:
    """What one run of the project needs to know.

    ``as_of`` is None when the newest day in the data decides.
    ``forget_missing`` lets a rebuild go on without landing files that are gone.
    ``kept_runs`` is how many runs, and days of scores, are kept of each model.
    ``memory_limit`` is what DuckDB may hold before it writes to disk: "4GB", or a share of all.
    ``pseudonym_key`` is None when the key of the state folder is used.
    """

    home: Path
    project_dir: Path = PROJECT_DIR
    sources: tuple[str, ...] = ("complete_journey",)
    as_of: date | None = None
    pseudonym_key: str | None = field(default=None, repr=False)
    lock_timeout_seconds: float = 600.0
    memory_limit: str = "80%"
    report_url: str = "http://localhost:3001"
    forget_missing: bool = False
    kept_runs: int = 10

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read DSEGMENT_* variables.

        Raises:
            SettingsError: a variable holds what no run could use.

        """
        target = environment.get("DSEGMENT_TARGET", "duckdb")
        if target not in TARGETS:
            raise SettingsError(f"DSEGMENT_TARGET is {target!r}; known: {', '.join(TARGETS)}.")
        names = environment.get("DSEGMENT_SOURCES", "complete_journey").replace(",", " ").split()
        if not names:
            raise SettingsError("DSEGMENT_SOURCES is empty; name at least one declared source.")
        project_dir = Path(environment.get("DSEGMENT_PROJECT", PROJECT_DIR)).resolve()
        home = Path(environment.get("DSEGMENT_HOME", project_dir / ".dsegment"))
        home = home.expanduser().resolve()
        if home.is_file():
            raise SettingsError(f"DSEGMENT_HOME is {home}, a file; name a folder.")
        return cls(
            home=home,
            project_dir=project_dir,
            sources=tuple(sorted(set(names))),
            as_of=_date(environment.get("DSEGMENT_AS_OF", "")),
            pseudonym_key=environment.get("DSEGMENT_PSEUDONYM_KEY") or None,
            forget_missing=environment.get("DSEGMENT_FORGET_MISSING", "") == "1",
            report_url=environment.get("DSEGMENT_REPORT_URL", "http://localhost:3001").rstrip("/"),
            kept_runs=_count(environment.get("DSEGMENT_KEPT_RUNS", "10")),
            lock_timeout_seconds=_seconds(environment.get("DSEGMENT_LOCK_TIMEOUT", "600")),
            memory_limit=_memory(environment.get("DSEGMENT_MEMORY_LIMIT", "80%")),
        )

    @property
    def warehouse_path(self) -> Path:
        """The analytics database: pseudonyms, never a name."""
        return self.home / "warehouse.duckdb"

    @property
    def vault_path(self) -> Path:
        """The database of what identifies a person."""
        return self.home / "vault.duckdb"

    @property
    def landing_dir(self) -> Path:
        """Where source files arrive, one folder a source."""
        return self.home / "landing"

    @property
    def reports_dir(self) -> Path:
        """Where the HTML report is written."""
        return self.home / "reports"

    @property
    def history_dir(self) -> Path:
        """Copies of the tables that cannot be derived again."""
        return self.home / "history"

    @property
    def decisions_file(self) -> Path:
        """What people decided about suggested matches."""
        return self.home / "decisions" / "identity.csv"

    @property
    def matching_dir(self) -> Path:
        """The trained parameters of probabilistic matching, frozen until trained again."""
        return self.home / "matching"

    @property
    def models_dir(self) -> Path:
        """Fitted models, one folder a model and one file a run."""
        return self.home / "models"

    @property
    def dagster_home(self) -> Path:
        """Dagster's run storage and its ``dagster.yaml``."""
        return self.home / "dagster"

    @property
    def dbt_dir(self) -> Path:
        """The dbt project."""
        return self.project_dir / "dbt"

    @property
    def dbt_state_dir(self) -> Path:
        """Dbt's target and logs, kept out of the project folder."""
        return self.home / "dbt"

    @property
    def sources_file(self) -> Path:
        """The declarations of the sources."""
        return self.project_dir / "sources.yml"

    @property
    def identity_file(self) -> Path:
        """The guards and rules of identity stitching."""
        return self.project_dir / "identity.yml"

    @property
    def segments_file(self) -> Path:
        """The rules of the segments."""
        return self.project_dir / "segments.yml"

    def claim_home(self) -> None:
        """Make the state folder, or check that it belongs to the same sources.

        Two selections of sources in one folder would mix two companies' customers.

        Raises:
            SettingsError: the folder was made for other sources, or cannot be made.

        """
        marker = self.home / "SOURCES"
        wanted = " ".join(self.sources)
        if marker.exists():
            present = marker.read_text().strip()
            if present != wanted:
                raise SettingsError(
                    f"{self.home} holds the sources '{present}', but '{wanted}' was asked for. "
                    f"Run with SOURCES='{present}', or give the other selection a folder of its "
                    "own with DSEGMENT_HOME=..."
                )
            return
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            marker.write_text(wanted + "\n")
        except OSError as error:
            raise SettingsError(
                f"DSEGMENT_HOME is {self.home}, where no state folder can be made: "
                f"{error.strerror}. Name a folder that you may write to."
            ) from None

    def exported(self) -> dict[str, str]:
        """The environment that child processes (dbt, Dagster) read, from whichever folder."""
        return {
            "DSEGMENT_HOME": str(self.home),
            "DSEGMENT_PROJECT": str(self.project_dir),
            "DAGSTER_HOME": str(self.dagster_home),
            "DSEGMENT_WAREHOUSE": str(self.warehouse_path),
            "DSEGMENT_MEMORY_LIMIT": self.memory_limit,
            "DBT_TARGET_PATH": str(self.dbt_state_dir / "target"),
            "DBT_LOG_PATH": str(self.dbt_state_dir / "logs"),
            "DBT_PROFILES_DIR": str(self.dbt_dir),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_USE_COLORS": "false",
            "GX_ANALYTICS_ENABLED": "false",
        }


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):  # float() would take nan and -5 as well
        raise SettingsError(
            f"DSEGMENT_LOCK_TIMEOUT is {text!r}; write a number of seconds, e.g. 600."
        )
    return float(text)


def _memory(text: str) -> str:
    # DuckDB would say so too, but in the middle of a run.
    if not re.fullmatch(r"\d+(\.\d+)? ?(%|[KMGT]i?B)", text):
        raise SettingsError(
            f"DSEGMENT_MEMORY_LIMIT is {text!r}; write an amount or a share, e.g. 4GB or 50%."
        )
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(
            f"DSEGMENT_KEPT_RUNS is {text!r}; write how many runs of each model to keep, e.g. 10."
        )
    return int(text)


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"DSEGMENT_AS_OF is {text!r}; write a day as YYYY-MM-DD, e.g. 2017-12-31."
        ) from None
    # Until such a day comes, every later run would be one of the past, and histories would wait.
    if day > datetime.now(UTC).date() + timedelta(days=1):
        raise SettingsError(f"DSEGMENT_AS_OF is {text!r}, a day that has not come.")
    return day
