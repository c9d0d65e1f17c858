"""What the orchestration costs: a warm full refresh beside the same work done bare (`make bench`).

What belongs here: making the state folders, running both sides in turn, proving that they wrote
the same tables, counting seconds. What does not: the bare work itself (`bare`).

tax = wall time of `dsegment run --full`, with nothing new to land, over that of `bare`, both as
processes of their own with their imports, on a copy of one state folder each, in turn. A first
pair is not counted: it warms both copies, and its tables must be equal.

It is told for the data as they are and for the order lines replicated. The households stay the
same ones there, so the marts, the gates on them and the fits do not grow: only what the engine
does with order lines does. Other households for each copy would make the bare side longer, and so
the tax smaller.
"""

import argparse
import hashlib
import os
import pickle
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.bare import Plan

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("RESULTS.md")
MACHINE = "2 cores"
LARGE = 10_000_000
BAR = 1.2
# What dbt puts before a statement, and what it asks for its own bookkeeping.
QUERY_COMMENT = re.compile(r"^\s*/\*.*?\*/", re.DOTALL)
# A commit is told as an event of another kind, so both ends of a transaction are left out.
LEFT_OUT = {"", "begin", "begin transaction", "commit", "rollback"}
OF_THE_CATALOGUE = re.compile(r"information_schema|duckdb_\w+\(\)|\bpg_catalog\b|\bsystem\.")
REPLAYED = ("model", "test")
STEP_DONE = re.compile(r"^(\w+) done in ([\d.]+) s$")
# A part of the split → the steps that it adds up; what no step accounts for is start-up.
PARTS = {
    "landing": ("landing",),
    "gates": ("gate_landing", "gate_marts", "gate_ml"),
    "dbt": ("links", "warehouse"),
    "ml": (
        *("match_scores", "category_propensity", "churn_scores", "cluster_assignments"),
        *("lifetime_values", "recommendations", "campaign_responses"),
    ),
    "segments": ("segments",),
    "report": ("segment_report",),
}
SPLIT = ("start-up", *PARTS)
# Compared as ordered Parquet, byte by byte; larger tables by row count and the sum of row hashes.
SMALL_SCHEMAS = ("marts", "ml", "segments")
LARGE_SCHEMAS = ("intermediate", "identity", "core")
DIGITS = 9
ORDER_LINES = "raw.complete_journey__transactions"


@dataclass(frozen=True)
class Measured:
    """One process: wall and CPU seconds (children included), peak memory, its parts' seconds.

    The peak is that of the largest process of the tree, not their sum. `others` is how many cores
    the rest of the machine kept busy meanwhile: above a few tenths the wall time says little.
    """

    wall: float
    cpu: float
    peak_gb: float
    others: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """Both sides on the same data, repeated in turn."""

    order_lines: int
    orchestrated: Sequence[Measured]
    bare: Sequence[Measured]

    @property
    def tax(self) -> float:
        """Median wall of the orchestrated side over that of the bare one."""
        return _median(m.wall for m in self.orchestrated) / _median(m.wall for m in self.bare)

    @property
    def cpu_tax(self) -> float:
        """The same in CPU seconds, which a busy machine distorts less."""
        return _median(m.cpu for m in self.orchestrated) / _median(m.cpu for m in self.bare)


def compare(home: Path, work: Path, repeats: int) -> Comparison:
    """Refresh two copies of a state folder in turn, one orchestrated and one bare.

    Raises:
        RuntimeError: the two sides did not write the same tables.

    """
    ours, theirs = work / "orchestrated", work / "bare"
    shutil.copytree(home, ours)
    lines = _count(ours, ORDER_LINES)
    say(f"{lines:,} order lines; a first pair that is not counted")
    run_orchestrated(ours)
    plan = work / "plan.pickle"
    plan.write_bytes(pickle.dumps(_plan(ours)))
    # Afterwards, since dbt's statements rename what the last run left.
    shutil.copytree(ours, theirs)
    run_bare(theirs, plan)
    different = differences(ours, theirs)
    if different:
        raise RuntimeError("The two sides wrote different tables: " + "; ".join(different))
    say("Both sides wrote the same tables")
    orchestrated, bare = [], []
    for number in range(1, repeats + 1):
        say(f"pair {number} of {repeats}")
        orchestrated.append(run_orchestrated(ours))
        bare.append(run_bare(theirs, plan))
    return Comparison(lines, orchestrated, bare)


def run_orchestrated(home: Path, *, full: bool = True) -> Measured:
    """One `dsegment run`, as a person would start it."""
    command = [str(Path(sys.executable).with_name("dsegment")), "run"]
    return measure("dsegment run", [*command, "--full"] if full else command, home)


def run_bare(home: Path, plan: Path) -> Measured:
    """The bare work, in one process."""
    return measure("bare", [sys.executable, "-m", "benchmarks.bare", str(plan)], home)


def measure(name: str, command: Sequence[str], home: Path) -> Measured:
    """Run a command on a state folder and read the seconds of its steps from what it prints.

    Raises:
        RuntimeError: it failed; the message ends with what it said last.

    """
    environment = {**os.environ, "DSEGMENT_HOME": str(home)}
    started, busy = time.perf_counter(), _busy_seconds()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        # Unlike getrusage, it tells of this process and its children alone.
        _, status, usage = os.wait4(process.pid, 0)
        wall, busy = time.perf_counter() - started, _busy_seconds() - busy
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read().splitlines()
    if process.returncode:
        raise RuntimeError(f"{name} failed:\n" + "\n".join(printed[-20:]))
    steps = {m[1]: float(m[2]) for m in map(STEP_DONE.match, printed) if m}
    parts = {part: sum(steps.get(step, 0.0) for step in names) for part, names in PARTS.items()}
    parts["start-up"] = wall - sum(parts.values())
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6
    others = max(0.0, (busy - cpu) / wall)
    shown = ", ".join(f"{part} {parts[part]:.1f}" for part in SPLIT)
    say(f"  {name:<13} {wall:6.1f} s wall {cpu:6.1f} s CPU {peak:5.2f} GB  ({shown})")
    say(f"  {'':<13} others kept {others:.1f} cores busy")
    return Measured(wall, cpu, peak, others, parts)


def _busy_seconds() -> float:
    """CPU seconds that all processes of the machine have used (user, nice, system)."""
    ticks = Path("/proc/stat").read_text().splitlines()[0].split()[1:4]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def replicate_order_lines(home: Path, wanted: int) -> None:
    """Repeat the order lines, whole, until there are at least so many, as if more files had landed.

    Each copy has baskets and files of its own: its lines, their vault rows, and one ledger row a
    file, so that the account of rows read and loaded stays true and every gate passes. Households,
    days, stores and products are those of the original.
    """
    entity = "source = 'complete_journey' and entity = 'transactions'"
    file_of_copy = "sha256(concat(file_id, ':', copy))"
    with duckdb.connect(home / "warehouse.duckdb") as connection:
        connection.execute(f"attach '{home / 'vault.duckdb'}' as vault")
        present, baskets = connection.execute(
            f"select count(*), max(basket_id) + 1 from {ORDER_LINES}"
        ).fetchall()[0]
        copies = f"(select unnest(range(1, {-(-wanted // present)})) as copy)"
        connection.execute("begin")
        connection.execute(
            f"""
            insert into vault.{ORDER_LINES}
            select * exclude (copy) replace ({file_of_copy} as file_id)
            from vault.{ORDER_LINES} cross join {copies}
            """
        )
        connection.execute("commit")
        connection.execute("begin")
        connection.execute(
            f"""
            insert into {ORDER_LINES}
            select * exclude (copy) replace (
                basket_id + {baskets} * copy as basket_id,
                {file_of_copy.replace("file_id", "_file_id")} as _file_id)
            from {ORDER_LINES} cross join {copies}
            """
        )
        connection.execute(
            f"""
            insert into quality.load_ledger
            select * exclude (copy) replace (
                concat(file_name, ', copy ', copy) as file_name,
                {file_of_copy} as file_id,
                load_order + copy * (select max(load_order) from quality.load_ledger) as load_order)
            from quality.load_ledger cross join {copies} where {entity}
            """
        )
        connection.execute("commit")


def differences(left: Path, right: Path) -> list[str]:
    """Which tables two state folders hold differently, columns and types included."""
    contents = []
    for home in (left, right):
        with (
            tempfile.TemporaryDirectory() as scratch,
            duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection,
        ):
            contents.append(_contents(connection, Path(scratch) / "table.parquet"))
    ours, theirs = contents
    return [
        f"{table}: {ours.get(table)} against {theirs.get(table)}"
        for table in sorted(ours.keys() | theirs.keys())
        if ours.get(table) != theirs.get(table)
    ]


def _contents(connection: duckdb.DuckDBPyConnection, file: Path) -> dict[str, tuple[int, str]]:
    tables = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_type = 'BASE TABLE' and list_contains($1, table_schema)",
        [[*SMALL_SCHEMAS, *LARGE_SCHEMAS]],
    ).fetchall()
    found = {}
    for schema, name in tables:
        table = f"{schema}.{name}"
        columns = connection.execute(
            f"select column_name, column_type from (describe {table})"
        ).fetchall()
        if schema in SMALL_SCHEMAS:
            # The last bit of a double hangs on the order in which the threads added up.
            shown = ", ".join(
                f'round("{column}", {DIGITS}) as "{column}"' if kind == "DOUBLE" else f'"{column}"'
                for column, kind in columns
            )
            connection.execute(
                f"copy (select {shown} from {table} order by all) to '{file}' (format parquet)"
            )
            content = file.read_bytes()
        else:
            rows = connection.execute(f"select sum(hash(t)) from {table} as t").fetchall()
            content = f"{rows} {columns}".encode()
        count = connection.execute(f"select count(*) from {table}").fetchall()[0][0]
        found[table] = (count, hashlib.sha256(content).hexdigest()[:16])
    return found


def _plan(home: Path) -> Plan:
    """What the bare side cannot know by itself, read from what the orchestrated one made."""
    # Imported here, in the process that is not measured.
    import ml
    from dagster_project.assets.specs import version_of
    from dagster_project.checks import suites_by_gate
    from landing.declarations import read_declarations

    suites = suites_by_gate(read_declarations(PROJECT / "sources.yml"))
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        versions = connection.execute(
            """
            select model_name, max_by(data_version, rowid) from ml.model_runs group by model_name
            """
        ).fetchall()
    return Plan(statements_of_dbt(home), suites, dict(versions), version_of(ml))


def statements_of_dbt(home: Path) -> list[str]:
    """What dbt sends to the engine for its models, seeds and tests, in one build of them all.

    Raises:
        RuntimeError: the build failed.

    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    from dagster_project.resources import export_environment
    from dagster_project.settings import Settings

    settings = Settings(home=home)
    export_environment(settings)
    sent: list[str] = []

    def listen(event: Any) -> None:
        # A seed stays as the last run left it: dbt tells only the beginning of its rows.
        if event.info.name == "SQLQuery" and event.data.node_info.resource_type in REPLAYED:
            sql = QUERY_COMMENT.sub("", event.data.sql).strip()
            if sql.lower().rstrip(";") not in LEFT_OUT and not OF_THE_CATALOGUE.search(sql):
                sent.append(sql)

    arguments = ["--log-level", "none", "--log-level-file", "debug", "build", "--threads", "1"]
    outcome = dbtRunner(callbacks=[listen]).invoke(
        [*arguments, "--exclude-resource-type", "unit_test"], project_dir=str(settings.dbt_dir)
    )
    DuckDBConnectionManager.close_all_connections()
    if not outcome.success:
        raise RuntimeError(f"dbt failed: {outcome.exception}")
    return sent


def figures(work: Path) -> list[str]:
    """Wall seconds of a first run, of one with nothing new, and of one new day."""
    from simulator.complete_journey import export

    home, daily = work / "empty", work / "daily"
    say("First run, from an empty state folder")
    runs = {"first run": run_orchestrated(home, full=False)}
    say("Second run, nothing new")
    runs["nothing new"] = run_orchestrated(home, full=False)
    say("All but the last day (not shown), then that day")
    export(daily / "landing", until=date(2017, 12, 30))
    run_orchestrated(daily, full=False)
    export(daily / "landing")
    runs["one new day"] = run_orchestrated(daily, full=False)
    return [
        "| `dsegment run` | wall s | CPU s | peak GB | busy with others | "
        + " | ".join(SPLIT)
        + " |",
        "|---|" + "---:|" * (4 + len(SPLIT)),
        *(f"| {name} | {_row([run])} |" for name, run in runs.items()),
    ]


def table(comparisons: Sequence[Comparison]) -> list[str]:
    """The tax, then medians of both sides with their split, as Markdown."""
    lines = [
        "| order lines | tax | tax in CPU s | pairs | orchestrated wall s | bare wall s "
        "| cores busy with others |",
        "|---:|---:|---:|---:|---|---|---|",
    ]
    lines += [
        f"| {c.order_lines:,} | {c.tax:.2f} | {c.cpu_tax:.2f} | {len(c.bare)} "
        f"| {_range(c.orchestrated)} | {_range(c.bare)} "
        f"| {_median(m.others for m in c.orchestrated):.1f} and "
        f"{_median(m.others for m in c.bare):.1f} |"
        for c in comparisons
    ]
    lines += [
        "",
        "| order lines | side | wall s | CPU s | peak GB | busy with others | "
        + " | ".join(SPLIT)
        + " |",
        "|---:|---|" + "---:|" * (4 + len(SPLIT)),
    ]
    lines += [
        f"| {c.order_lines:,} | {side} | {_row(runs)} |"
        for c in comparisons
        for side, runs in (("orchestrated", c.orchestrated), ("bare", c.bare))
    ]
    return lines


def _row(runs: Sequence[Measured]) -> str:
    cells = [
        f"{_median(run.wall for run in runs):.1f}",
        f"{_median(run.cpu for run in runs):.1f}",
        f"{max(run.peak_gb for run in runs):.2f}",
        f"{_median(run.others for run in runs):.1f}",
        *(f"{_median(run.parts[part] for run in runs):.1f}" for part in SPLIT),
    ]
    return " | ".join(cells)


def _range(runs: Sequence[Measured]) -> str:
    walls = [run.wall for run in runs]
    return f"{min(walls):.1f} / {_median(walls):.1f} / {max(walls):.1f}"


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _count(home: Path, name: str) -> int:
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        return connection.execute(f"select count(*) from {name}").fetchall()[0][0]


def write_section(title: str, lines: Sequence[str], note: str) -> None:
    """Put a section of RESULTS.md in the place of the one of that title."""
    head = "# Figures\n\nWritten by `python -m benchmarks.orchestration_tax`; edited by nobody.\n"
    text = RESULTS.read_text() if RESULTS.exists() else head
    kept = [part for part in text.split("\n## ")[1:] if not part.startswith(f"{title}\n")]
    today = datetime.now().astimezone().date()
    body = "\n".join(lines)
    kept.append(f"{title}\n\n{today}, {MACHINE}. {note}\n\n{body}\n")
    RESULTS.write_text(head + "".join("\n## " + part.rstrip("\n") + "\n" for part in sorted(kept)))


def say(text: str) -> None:
    """Print a line of progress, with the time."""
    print(f"{datetime.now().astimezone():%H:%M:%S} {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, help="state folder to copy; without it one is made")
    parser.add_argument("--repeats", type=int, default=3, help="pairs on the data as they are")
    parser.add_argument("--large-repeats", type=int, default=1, help="pairs on replicated lines")
    parser.add_argument("--figures", action="store_true", help="first run, nothing new, one day")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dsegment-bench-") as folder:
        work = Path(folder)
        if options.figures:
            _report("Runs", figures(work), "Seconds, and what they went to.")
        else:
            _report("Tax of the orchestration", table(_both(options, work)), TAX_NOTE)


TAX_NOTE = (
    f"Wall seconds as min / median / max, the split in medians; the bar is a tax of {BAR} "
    'on the replicated lines. Peak memory is that of the largest process. "Others" are the cores '
    "that the rest of the machine kept busy: where they are many, the CPU seconds say more."
)


def _both(options: argparse.Namespace, work: Path) -> list[Comparison]:
    home = work / "home"
    if options.home:
        shutil.copytree(options.home, home)
    else:
        say("Making a state folder")
        run_orchestrated(home)
    comparisons = []
    jobs: list[tuple[int, Callable[[], None]]] = [
        (options.repeats, lambda: None),
        (options.large_repeats, lambda: replicate_order_lines(home, LARGE)),
    ]
    for number, (repeats, prepare) in enumerate(jobs):
        if repeats:
            prepare()
            place = work / f"pair{number}"
            place.mkdir()
            comparisons.append(compare(home, place, repeats))
            shutil.rmtree(place)
    return comparisons


def _report(title: str, lines: Sequence[str], note: str) -> None:
    print("\n" + "\n".join(lines), flush=True)
    write_section(title, lines, note)


if __name__ == "__main__":
    main()
