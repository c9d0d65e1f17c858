"""What a person sees while a run goes on: one line as each step starts, ends or fails."""

import io
import logging
import re
import sys
import time
from typing import IO

import dagster as dg

SHOWN_DBT_LINE = re.compile(r" of \d+ (OK|WARN|FAIL|ERROR) |Database Error|Compilation Error")
# What Dagster says of itself and dbt's command line: the step lines say it shorter.
NOT_SHOWN = (
    "Dependencies for step",
    "A dbt subsetted",
    "Running dbt",
    "Finished dbt",
    "Logging an",
)


class ModelLines(io.TextIOBase):
    """A stream that lets through one of dbt's lines a model, and each that reports a fault.

    dbt also says when each of the tests begins and ends; the UI and dbt's own log keep that.
    """

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Pass a line on, or not."""
        for line in text.splitlines():
            if SHOWN_DBT_LINE.search(line):
                self._out.write(f"    {line}\n")
                self._out.flush()
        return len(text)


class _StepLines(logging.Handler):
    """Turns Dagster's step events, and what assets log themselves, into short lines."""

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", None) or {}
        event = meta.get("dagster_event")
        if event is None:
            text = meta.get("orig_message") or record.getMessage()
            if record.levelno >= logging.INFO and not text.startswith(NOT_SHOWN):
                self._write(f"    {text}")
        elif event.event_type_value == "STEP_START":
            self._started[event.step_key] = time.perf_counter()
            self._write(f"{event.step_key} …")
        elif event.event_type_value in ("STEP_SUCCESS", "STEP_FAILURE"):
            seconds = time.perf_counter() - self._started.get(event.step_key, time.perf_counter())
            verdict = "done" if event.event_type_value == "STEP_SUCCESS" else "FAILED"
            self._write(f"{event.step_key} {verdict} in {seconds:.1f} s")

    @staticmethod
    def _write(line: str) -> None:
        print(line, file=sys.stderr, flush=True)


@dg.logger(description="One line a step, for people who wait.")
def progress_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """The console logger of every job."""
    logger = logging.Logger("progress", level=logging.DEBUG)
    logger.addHandler(_StepLines())
    return logger
