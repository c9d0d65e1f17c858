"""Assembles the code location, nothing else."""

import dagster as dg
from dagster_dbt import DbtProject

from dagster_project.assets.identity import identity_assets, people_check
from dagster_project.assets.landing import landing_assets
from dagster_project.assets.models import model_assets
from dagster_project.assets.report import report_asset
from dagster_project.assets.segments import segment_assets
from dagster_project.assets.warehouse import warehouse_assets
from dagster_project.automation import daily_schedule, landing_sensor, refresh_job
from dagster_project.checks import gate_results_spec, gates
from dagster_project.dbt_runner import Dbt
from dagster_project.prepare import parsed_state, prepare_home
from dagster_project.progress import progress_logger
from dagster_project.resources import export_environment, warehouse_of
from dagster_project.settings import Settings
from landing.declarations import read_declarations


def build_defs(settings: Settings, **overrides: object) -> dg.Definitions:
    """The whole graph for one state folder.

    ``overrides`` swaps a part for another of the same kind, e.g. ``train_churn=...``; tests use
    it instead of patching.
    """
    declarations = read_declarations(settings.sources_file)
    project = DbtProject(
        project_dir=settings.dbt_dir,
        target_path=settings.dbt_state_dir / "target",
        profiles_dir=settings.dbt_dir,
    )
    return dg.Definitions(
        assets=[
            landing_assets(settings, declarations),
            *warehouse_assets(settings, project),
            *identity_assets(settings, declarations),
            *model_assets(settings, declarations.business.currency, **overrides),
            segment_assets(settings),
            report_asset(settings, declarations),
            gate_results_spec(),
        ],
        asset_checks=[*gates(declarations), people_check()],
        jobs=[refresh_job],
        schedules=[daily_schedule(declarations.business.zone)],
        sensors=[landing_sensor(settings)],
        resources={
            "warehouse": warehouse_of(settings),
            "dbt": Dbt(project_dir=str(settings.dbt_dir), parsed=parsed_state(settings)),
        },
        executor=dg.in_process_executor,
        loggers={"progress": progress_logger},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of ``workspace.yaml``, for the environment's settings."""
    settings = Settings.from_environment()
    export_environment(settings)
    prepare_home(settings)
    return build_defs(settings)
