"""WHEN: the job, its schedule, the sensor that sees new files, and how fresh tables must be.

What belongs here: jobs, schedules, sensors, freshness.
What does not: what a run does (``assets/``) and which part of it is out of date (``refresh.py``).
"""

import hashlib
from datetime import timedelta

import dagster as dg

from dagster_project.settings import Settings

FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=36), warn_window=timedelta(hours=26)
)

refresh_job = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.all(),
    description="Land what is new and make every table, model, segment and the report again.",
)


def daily_schedule(zone: str) -> dg.ScheduleDefinition:
    """Every morning in the business's zone, after the nightly exports."""
    return dg.ScheduleDefinition(
        name="every_morning",
        job=refresh_job,
        cron_schedule="0 5 * * *",
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Refreshes everything after the nightly exports.",
    )


def landing_sensor(settings: Settings) -> dg.SensorDefinition:
    """Starts a run when the landing folder holds a file it did not hold at the last run.

    It looks at names, sizes and times only: opening the warehouse here would fail while a run
    writes to it. Landing itself recognises a file by its content.
    """

    @dg.sensor(
        name="new_files",
        job=refresh_job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Refreshes everything when a new file lands.",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        state = landing_state(settings)
        if state == context.cursor:
            return dg.SkipReason("No new file in the landing folder.")
        context.update_cursor(state)
        return dg.RunRequest()

    return new_files


def landing_state(settings: Settings) -> str:
    """A hash of the landing folder's listing for the selected sources."""
    listing = hashlib.sha256()
    for source in settings.sources:
        for path in sorted((settings.landing_dir / source).glob("**/*")):
            if path.is_file() and not path.name.startswith("."):
                seen = path.stat()
                listing.update(f"{path.name}|{seen.st_size}|{seen.st_mtime_ns}\n".encode())
    return listing.hexdigest()
