"""Runs whose process was killed, and so could not say that they ended.

What belongs here: finding them and telling Dagster. What does not: repairing tables; landing
reconciles what it left half done, and every other write is one transaction.
"""

import sys
from pathlib import Path

import dagster as dg

GOING_ON = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark as failed each run whose process is gone.

    The daemon starts one run at a time: it would wait for a dead one for ever.
    """
    if sys.platform != "linux":
        return
    for run in instance.get_runs(dg.RunsFilter(statuses=GOING_ON)):
        begun = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)
        if begun and not _is_python(begun[0].dagster_event.pid):
            instance.report_run_failed(run, "Its process was killed; what it had made stays.")


def _is_python(pid: int) -> bool:
    """Whether such a process lives; a number may have gone to another program since."""
    try:
        return b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
