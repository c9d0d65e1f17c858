"""How fast the simulator writes a company, and in how much memory.

What belongs here: one export a size, each in a process of its own, into a scratch folder that is
removed afterwards. What does not: what is exported (`simulator.company`).

`python -m benchmarks.simulator_throughput` measures 1,000, 100,000 and 1,000,000 people, the truth
included, and keeps the figures; `--people 10000000` asks for another size (some 13 GB, an hour).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SIZES = (1_000, 100_000, 1_000_000)
NOTE = (
    "All exports and the truth, each size in a process of its own with its imports. Memory is "
    "bounded by the chunk of people that is made at a time (20,000), not by the company: a larger "
    "one adds the bookkeeping of its row groups."
)


@dataclass(frozen=True)
class Measured:
    """One export: rows of all entities without the truth, seconds, peak memory, size of files."""

    people: int
    rows: int
    wall: float
    cpu: float
    peak_gb: float
    file_gb: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each size in its own process, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, nargs="*", default=SIZES, help="sizes to measure")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(asdict(measure(options.one))))
        return
    from benchmarks.orchestration_tax import write_section

    lines = table([_in_process(people) for people in options.people])
    print("\n".join(lines))
    write_section("Simulator throughput", lines, NOTE)


def measure(people: int) -> Measured:
    """Export a company of this size and say what it took."""
    with tempfile.TemporaryDirectory(prefix="dsegment-simulator-") as folder:
        begun = time.perf_counter()
        from simulator.company.export import write_company
        from simulator.company.plan import Plan

        made = write_company(Plan(people=people), Path(folder) / "demo", Path(folder) / "truth")
        wall = time.perf_counter() - begun
        used = resource.getrusage(resource.RUSAGE_SELF)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    cpu = used.ru_utime + used.ru_stime
    return Measured(
        people, sum(made.rows.values()), wall, cpu, used.ru_maxrss / 1024**2, size / 1024**3
    )


def _in_process(people: int) -> Measured:
    """Peak memory is that of a whole process, so each size needs one of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.simulator_throughput", "--one", str(people)],
        check=True,
        capture_output=True,
        text=True,
    )
    return Measured(**json.loads(ran.stdout))


def table(measured: Sequence[Measured]) -> list[str]:
    """Figures as lines of Markdown."""
    return [
        "| people | rows | wall s | CPU s | rows a second | peak GB | files GB |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {m.people:,} | {m.rows:,} | {m.wall:.1f} | {m.cpu:.1f} | {m.rows / m.wall:,.0f} |"
            f" {m.peak_gb:.2f} | {m.file_gb:.2f} |"
            for m in measured
        ),
    ]


if __name__ == "__main__":
    main()
