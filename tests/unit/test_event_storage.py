"""The event log with kept connections writes what Dagster's own storage reads, and the reverse."""

from pathlib import Path

from dagster import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage

from dagster_project.event_storage import KEPT_ENGINES, PooledEventLogStorage


def entry(run_id: str, number: int) -> EventLogEntry:
    return EventLogEntry(
        error_info=None,
        level=20,
        user_message=f"event {number}",
        run_id=run_id,
        timestamp=float(number),
    )


def test_either_storage_reads_what_the_other_wrote(tmp_path: Path) -> None:
    runs = [f"run{number}" for number in range(KEPT_ENGINES + 2)]  # more than are kept open
    ours, theirs = (kind(str(tmp_path)) for kind in (PooledEventLogStorage, SqliteEventLogStorage))
    for number in range(3):
        for run in runs:
            (ours if number % 2 else theirs).store_event(entry(run, number))
    for storage in (ours, theirs):
        for run in runs:
            said = [one.user_message for one in storage.get_logs_for_run(run)]
            assert said == ["event 0", "event 1", "event 2"]
