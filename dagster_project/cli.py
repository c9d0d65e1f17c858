"""The command line: one Python start, one run, a short summary.

What belongs here: choosing what is out of date, showing progress, saying where results are.
What does not: what a run does. Heavy imports stay inside the commands that need them.
"""

import atexit
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NoReturn

import click

from dagster_project.settings import Settings, SettingsError

if TYPE_CHECKING:
    from dagster_project.resources import Warehouse

UI_PORT = 3000
REPORT_PORT = 3001
# Dagster's newer `dg dev` would be one more package; its hint to that is not shown.
DAGSTER_DEV = (sys.executable, "-W", "ignore:Function `dev_command`", "-m", "dagster", "dev")


@click.group()
@click.pass_context
def main(context: click.Context) -> None:
    """Raw tables in; stitched customers, models, segments and a report out."""
    from dagster_project.resources import export_environment

    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    export_environment(settings)
    context.obj = settings


@main.command()
@click.option("--full", is_flag=True, help="Make everything again, changed or not.")
@click.option("--refit-clusters", is_flag=True, help="Fit the kept clusters again.")
@click.pass_obj
def run(settings: Settings, full: bool, refit_clusters: bool) -> None:
    """Land what is new and make every table that follows from it."""
    started = time.perf_counter()
    # A run keeps nearly all it allocates until its end: looking for garbage less often saves a
    # second of its few dozen, and costs no memory worth mentioning.
    gc.set_threshold(100_000, 20, 20)
    _prepare(settings)
    from dagster_project.assets.clusters import CLUSTERS
    from dagster_project.refresh import RefreshError, refresh, summary

    with _told(RefreshError):
        made = refresh(
            settings,
            full=full,
            forced=[CLUSTERS] if refit_clusters else [],
            refit_clusters=refit_clusters,
        )
        click.echo(summary(settings))
    done = f"{made} tables made" if made else "Nothing new"
    click.echo(
        f"\n{done} in {time.perf_counter() - started:.0f} s. "
        f"Report: {settings.reports_dir / 'segment_report.html'}"
    )


@main.command()
@click.argument("first")
@click.argument("second")
@click.pass_obj
def why(settings: Settings, first: str, second: str) -> None:
    """Say by which links two records are one person, or why they are two.

    Name a record as source.entity:id, an identifier as type=value, or give its pseudonym.
    """
    from dagster_project.why import UnexplainedError, explain, find_both
    from landing.declarations import read_declarations
    from landing.pseudonyms import read_key

    with _told(UnexplainedError):
        warehouse = _warehouse_with("identity.person_identifiers", "people", settings)
        declarations = read_declarations(settings.sources_file)
        key = read_key(settings.home, settings.pseudonym_key)
        ends = find_both(first, second, warehouse, declarations, key)
        click.echo(explain(*ends, warehouse))


@main.command()
@click.pass_obj
def train_matching(settings: Settings) -> None:
    """Train the matching of records anew and make what follows from it.

    The former parameters stay beside the new ones, under the name `former`.
    """
    from dagster_project.assets.identity import (
        MATCH_MODEL_KEY,
        PARAMETERS,
        forget_model,
        person_tables,
    )
    from dagster_project.refresh import RefreshError, refresh
    from landing.declarations import read_declarations

    parameters = settings.matching_dir / PARAMETERS
    with _told(RefreshError):
        if not person_tables(settings, read_declarations(settings.sources_file)):
            raise click.ClickException(
                f"There is nothing to match by: no entity of {' '.join(settings.sources)} has both "
                "an `attribute:` and an `identifier:` that is not weak, in sources.yml."
            )
        _prepare(settings)
        forget_model(settings)
        made = refresh(settings, forced=[MATCH_MODEL_KEY])
    trained = parameters if parameters.exists() else "none could be trained, as said above"
    click.echo(f"{made} tables made. Parameters: {trained}")


@main.command()
@click.argument("model")
@click.option("--to", help="Run to go back to; without it, the champion before the present one.")
@click.option("--let-go", is_flag=True, help="Let newer models compete with the champion again.")
@click.pass_obj
def rollback(settings: Settings, model: str, to: str | None, let_go: bool) -> None:
    """Put an earlier model back in service, and keep it there until it is let go.

    The scores, and all that follows from them, are made again. An unknown MODEL is answered with
    the names of those that can be put back.
    """
    if to and let_go:
        raise click.UsageError("--to keeps a run in service, --let-go ends that: give one of them.")
    from dagster import AssetKey

    from dagster_project.assets.champions import UnknownModelError, roll_back
    from dagster_project.refresh import RefreshError, refresh
    from ml.errors import ModelRefused

    with _told(RefreshError, ModelRefused, UnknownModelError):
        _warehouse_with("ml.model_runs", "models", settings)
        _prepare(settings)
        champion, table = roll_back(settings, model, to=to, let_go=let_go)
        made = refresh(settings, forced=[AssetKey([table.schema, table.name])])
    now = "may be replaced again" if let_go else "serves until it is let go"
    click.echo(f"Run {champion} of the model {model} {now}. {made} tables made.")


@main.command()
@click.pass_obj
def prepare(settings: Settings) -> None:
    """Make the state folder, dbt's source declarations and its manifest."""
    _prepare(settings)
    click.echo(f"{settings.home} is ready.")


@main.command()
@click.pass_obj
def dev(settings: Settings) -> None:
    """Open the Dagster UI on port 3000 and serve the report beside it."""
    _prepare(settings)
    settings.reports_dir.mkdir(parents=True, exist_ok=True)
    import dagster as dg

    from dagster_project.dead_runs import close_dead_runs

    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance)
    try:
        server = ThreadingHTTPServer(
            ("127.0.0.1", REPORT_PORT), partial(_Reports, directory=str(settings.reports_dir))
        )
    except OSError as error:
        raise click.ClickException(f"Port {REPORT_PORT} for the report: {error}") from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    click.echo(f"UI, in about 20 s: http://localhost:{UI_PORT}")
    click.echo(f"Report:            http://localhost:{REPORT_PORT}/segment_report.html")
    # Started from the state folder, where Dagster looks for its settings.
    dagster = subprocess.Popen(
        [*DAGSTER_DEV, "-w", str(settings.project_dir / "workspace.yaml"), "-p", str(UI_PORT)],
        cwd=settings.dagster_home,
    )
    # Dagster ends its processes by itself, given time: Ctrl-C reaches it from the terminal, a
    # service manager's SIGTERM does not.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: dagster.terminate())
    sys.exit(dagster.wait())


class _Reports(SimpleHTTPRequestHandler):
    """The report's folder, without a log line for every request."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _told(*errors: type[Exception]) -> Iterator[None]:
    """End with the message alone of these errors and of what may befall any command."""
    from dagster_project.resources import WarehouseBusyError
    from landing.declarations import DeclarationError
    from landing.pseudonyms import PseudonymKeyError
    from ml.feature_policy import PolicyError

    common = (WarehouseBusyError, DeclarationError, PseudonymKeyError, PolicyError)
    try:
        yield
    except (*common, *errors) as error:
        raise click.ClickException(str(error)) from None


def _warehouse_with(table: str, what: str, settings: Settings) -> "Warehouse":
    """The warehouse, if a run has made this table of it."""
    from dagster_project.resources import warehouse_of

    warehouse = warehouse_of(settings)
    # A file that is not there would be made by opening it.
    if not warehouse.path.exists() or not warehouse.counts([table]):
        raise click.ClickException(f"{settings.home} holds no {what} yet: run `dsegment run`.")
    return warehouse


def _prepare(settings: Settings) -> None:
    from dagster_project.prepare import PrepareError, prepare_home
    from landing.declarations import DeclarationError

    try:
        prepare_home(settings)
    except (SettingsError, DeclarationError, PrepareError) as error:
        raise click.ClickException(str(error)) from None


def program() -> NoReturn:
    """What `dsegment` starts: the commands, and an end without Python's own tidying up.

    Looking once more through all that goes anyway would take three seconds of a run, and DuckDB's
    bindings would report to the user what is left over of themselves.
    """
    try:
        main()
    except SystemExit as ended:
        atexit._run_exitfuncs()  # what libraries asked to have closed
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code)


if __name__ == "__main__":
    program()
