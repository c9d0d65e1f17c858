"""What closing over identity edges costs: the dbt materialisation beside scipy and Splink.

What belongs here: one graph a size, each contender on a copy of it in a process of its own, that
all made the same components, and what closing costs again when one edge in a hundred is new. What
does not: whether components are right at all (`tests/integration/test_connected_components`).

Every contender reads the edges from a table in a DuckDB file and leaves (node, component) in one.
Counted is what lies between: for dbt from the start of the node to its end, so with its statements
and the commit but without dbt's own start-up. Nodes are integers in no order, which favours scipy:
it maps them to positions by sorting. Pseudonyms, which the warehouse has, go through Python objects
on their way to it, and are beside it too. The graph is 90 % people of two to eight identifiers, 5 %
chains of ten thousand links, 4 % edges between any two of as many nodes, which grow together into
one large component, and a star. An update so renames a tenth of the nodes: edges between any two of
them join nearly all chains to the large component.

`python -m benchmarks.connected_components` measures 1 M and 5 M edges; `--edges` another size.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

PROJECT = Path(__file__).resolve().parents[1]
MACROS = PROJECT / "dbt/macros/connected_components"
SIZES = (1_000_000, 5_000_000)
CHAIN = 10_000
NEW_SHARE = 0.01
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
# A pseudonym is 64 hexadecimal digits.
AS_TEXT = "sha256(node_a::varchar) as node_a, sha256(node_b::varchar) as node_b"
MODELS = {
    "integers": "select node_a, node_b from edges",
    "text": "select node_a, node_b from text_edges",
    "text_compared": "select node_a, node_b from text_edges",
    "integers_parted": "select node_a, node_b, changed as part from edges",
    "text_parted": "select node_a, node_b, changed as part from text_edges",
}
DBT_PROJECT = """
name: closures
version: "1.0.0"
config-version: 2
profile: closures
flags: {send_anonymous_usage_stats: false}
"""
PROFILE = (
    "closures: {target: it, outputs: {it: "
    "{type: duckdb, path: '%s', threads: 1, settings: {threads: %s}}}}"
)


@dataclass(frozen=True)
class Measured:
    """One closing: seconds, CPU seconds of all threads, the process's peak memory at the end."""

    wall: float
    cpu: float
    peak_gb: float


class Clock:
    """Measures from `start` to `stop`."""

    def start(self) -> None:
        """Begin."""
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()

    def stop(self) -> Measured:
        """End."""
        wall, cpu = time.perf_counter() - self._wall, _cpu_seconds() - self._cpu
        # Not ru_maxrss: that of a child begins with its parent's.
        status = Path("/proc/self/status").read_text()
        return Measured(wall, cpu, int(PEAK.search(status)[1]) / 1e6)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def write_graph(database: Path, edge_count: int, seed: int = 1) -> None:
    """Tables edges and text_edges (node_a, node_b, changed), and new_edges, a hundredth of them.

    Of four new edges two bring a new node to one that is there, one joins two new nodes, and one
    two that are there.
    """
    chance = np.random.default_rng(seed)
    people = int(edge_count * 0.9 / 5)
    size = chance.integers(2, 9, people)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    person = np.repeat(np.arange(people), size)
    place = np.arange(size.sum()) - first[person]
    # A tree holds a person together; further sightings of two of their identifiers fill up.
    later = np.flatnonzero(place)
    parts = [(later, first[person[later]] + _below(chance, place[later]))]
    again = chance.integers(0, people, int(edge_count * 0.9) - len(later))
    parts.append(tuple(first[again] + _below(chance, size[again]) for _ in range(2)))
    used = int(size.sum())
    links = np.arange(int(edge_count * 0.05))
    links += links // CHAIN
    parts.append((used + links, used + links + 1))
    used += int(links[-1]) + 2
    loose = int(edge_count * 0.04)
    parts.append(tuple(used + chance.integers(0, loose, loose) for _ in range(2)))
    used += loose
    rest = edge_count - sum(len(part[0]) for part in parts)
    parts.append((np.full(rest, used), used + 1 + np.arange(rest)))
    used += rest + 1

    name = chance.permutation(used)
    a, b = (name[np.concatenate([part[end] for part in parts])] for end in (0, 1))
    order = chance.permutation(len(a))
    new = np.arange(int(edge_count * NEW_SHARE))
    known = chance.integers(0, used, (2, len(new)))
    ends = np.where(new % 4 == 0, used + new, known[0])
    others = np.where(new % 4 == 3, known[1], used + len(new) + new)
    with duckdb.connect(database) as connection:
        connection.register("old", pa.table({"node_a": a[order], "node_b": b[order]}))
        connection.register("new", pa.table({"node_a": ends, "node_b": others}))
        connection.execute("create table edges as select *, 1 as changed from old")
        connection.execute("create table new_edges as select *, 2 as changed from new")
        connection.execute(f"create table text_edges as select {AS_TEXT}, changed from edges")


def _below(chance: np.random.Generator, bound: np.ndarray) -> np.ndarray:
    return (chance.random(len(bound)) * bound).astype(np.int64)


def close_with_dbt(
    database: Path, model: str, *arguments: str, threads: int | None = None
) -> Measured:
    """The shipped materialisation, in a dbt project of its own; `threads` are DuckDB's.

    Another node, with one edge that changes, is closed over before it in the same way, so that what
    dbt loads once a run is loaded.
    """
    from dbt.cli.main import dbtRunner

    clock, measured = Clock(), []

    def listen(event: Any) -> None:
        if event.info.name in ("NodeStart", "NodeFinished"):
            if event.data.node_info.node_name != model:
                return
            if event.info.name == "NodeStart":
                clock.start()
            else:
                measured.append(clock.stop())

    with tempfile.TemporaryDirectory(prefix="dsegment-closures-") as scratch:
        folder = Path(scratch)
        (folder / "models").mkdir()
        shutil.copytree(MACROS, folder / "macros")
        (folder / "dbt_project.yml").write_text(DBT_PROJECT)
        (folder / "profiles.yml").write_text(PROFILE % (database, threads or os.cpu_count()))
        for name, sql in MODELS.items():
            keeps = "_" in name
            config = f"materialized='connected_components', incremental={str(keeps).lower()}"
            (folder / f"models/{name}.sql").write_text(
                f"-- depends_on: {{{{ ref('before') }}}}\n{{{{ config({config}) }}}}\n{sql}\n"
            )
        (folder / "models/before.sql").write_text(
            "{{ config(materialized='connected_components', incremental=true) }} "
            "select 0::bigint as node_a, range as node_b from range(99) "
            "union all select 0, count(*) from edges"
        )
        where = ["--project-dir", scratch, "--profiles-dir", scratch, "--quiet"]
        made = dbtRunner(callbacks=[listen]).invoke(
            ["run", "--select", f"+{model}", *arguments, *where]
        )
    if not made.success:
        raise RuntimeError(made.exception or [result.message for result in made.result])
    return measured[0]


def close_with_scipy(database: Path, table: str, source: str = "edges") -> Measured:
    """scipy.sparse.csgraph, with what it takes to come from a table and go back to one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    clock = Clock()
    with duckdb.connect(database) as connection:
        clock.start()
        edges = connection.sql(f"select node_a, node_b from {source}").fetchnumpy()
        ends = np.concatenate([edges["node_a"], edges["node_b"]])
        if source == "edges":
            nodes, position = np.unique(ends, return_inverse=True)
        else:  # to sort text before it is known to be distinct would take far longer
            position, nodes = pd.factorize(ends, sort=True)
        a, b = np.split(position, 2)
        graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(len(nodes),) * 2)
        count, label = connected_components(graph, directed=False)
        # Nodes are in order, so the first of a component is its least.
        first = np.empty(count, dtype=nodes.dtype)
        first[label[::-1]] = nodes[::-1]
        connection.register("found", pa.table({"node": nodes, "component": first[label]}))
        connection.execute(f"create or replace table {table} as from found")
        return clock.stop()


def close_with_splink(database: Path, table: str) -> Measured:
    """Splink's own clustering; the table of nodes that it asks for is made before."""
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    clock = Clock()
    with duckdb.connect(database) as connection:
        connection.execute(
            "create temp table nodes as "
            "select node_a as node from edges union select node_b from edges"
        )
        connection.execute(
            "create temp view pairs as select node_a as node_l, node_b as node_r from edges"
        )
        clock.start()
        splink = DuckDBAPI(connection)
        nodes, pairs = splink.register("nodes"), splink.register("pairs")
        clusters = cluster_pairwise_predictions_at_threshold(
            nodes, pairs, splink, node_id_column_name="node"
        )
        measured = clock.stop()
        connection.execute(
            f"create or replace table {table} as "
            f"select node, cluster_id as component from {clusters.physical_name}"
        )
    return measured


# What a bar compares closely; the others take far longer, and once shows by how much.
CLOSE_RIVALS = ("dbt, integers", "dbt, integers, one thread", "scipy, integers")
CLOSERS: dict[str, Callable[..., Measured]] = {
    "dbt": close_with_dbt,
    "dbt on one thread": partial(close_with_dbt, threads=1),
    "scipy": close_with_scipy,
    "Splink": close_with_splink,
}


def in_process(closer: str, database: Path, table: str, *arguments: str) -> Measured:
    """Close in a process of its own, so that its memory is its own.

    Raises:
        RuntimeError: it failed; the message ends with what it said last.

    """
    command = [sys.executable, "-m", "benchmarks.connected_components", "--close", closer]
    done = subprocess.run(
        [*command, str(database), table, *arguments],
        cwd=PROJECT,
        env={**os.environ, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{closer} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def copied(database: Path) -> Iterator[Path]:
    """A copy for one closing, so that none works on what another left."""
    with tempfile.TemporaryDirectory(prefix="dsegment-closing-", dir=database.parent) as folder:
        yield Path(shutil.copy(database, folder))


def beside_others(graph: Path, edge_count: int, repeats: int) -> list[str]:
    """All contenders in turn, those that a bar compares so many times; lines of a table.

    Raises:
        RuntimeError: they made different components.

    """
    contenders = {
        "dbt, integers": ("dbt", "integers"),
        "dbt, integers, one thread": ("dbt on one thread", "integers"),
        "scipy, integers": ("scipy", "closed"),
        "Splink, integers": ("Splink", "closed"),
        "dbt, pseudonyms": ("dbt", "text"),
        "scipy, pseudonyms": ("scipy", "closed", "text_edges"),
    }
    runs: dict[str, list[Measured]] = {name: [] for name in contenders}
    made: dict[str, tuple] = {}
    for number in range(repeats):
        for name, (closer, table, *source) in contenders.items():
            if number and name not in CLOSE_RIVALS:
                continue
            with copied(graph) as database:
                runs[name].append(in_process(closer, database, table, *source))
                made[name] = _summary(database, table)
            say(f"{edge_count:,} edges, {name}: {runs[name][-1]}")
    counts = {summary[:2] for summary in made.values()}
    if len(counts) > 1 or len(set(made.values())) > 2:  # nodes have two kinds of names
        raise RuntimeError(f"The contenders made different components: {made}")
    ((node_count, component_count),) = counts
    cpu = {name: _median(run.cpu for run in of) for name, of in runs.items()}
    return [
        f"| {edge_count:,} | {node_count:,} | {component_count:,} | {name} "
        f"| {_cells(of)} | {cpu[name] / cpu['scipy, ' + name.split(', ')[1]]:.2f} |"
        for name, of in runs.items()
    ]


def when_edges_are_new(graph: Path, edge_count: int, repeats: int) -> list[str]:
    """A rebuild with one edge in a hundred more, and the same rows made incrementally.

    Raises:
        RuntimeError: the two made different tables.

    """
    lines = []
    for model in ("integers_parted", "text_parted", "text_compared"):
        updates, rebuilds = [], []
        with copied(graph) as closed:
            in_process("dbt", closed, model)
            with duckdb.connect(closed) as connection:
                connection.execute("insert into edges from new_edges")
                if "text" in model:
                    connection.execute(
                        f"insert into text_edges select {AS_TEXT}, changed from new_edges"
                    )
            for _ in range(repeats):
                with copied(closed) as database:
                    updates.append(in_process("dbt", database, model))
                    updated = _summary(database, model)
                    rebuilds.append(in_process("dbt", database, model, "--full-refresh"))
                    if updated != _summary(database, model):
                        raise RuntimeError(f"{model}: the update is not what a rebuild makes")
                say(f"{edge_count:,} edges, {model}: {updates[-1]} against {rebuilds[-1]}")
        share = _median(run.cpu for run in updates) / _median(run.cpu for run in rebuilds)
        nodes, _, way = model.partition("_")
        lines.append(
            f"| {edge_count:,} | {'pseudonyms' if nodes == 'text' else nodes} | {way} "
            f"| {_cells(rebuilds)} | {_cells(updates)} | {100 * share:.0f} % |"
        )
    return lines


def _summary(database: Path, table: str) -> tuple[int, int, int]:
    """Nodes, components, and a sum of hashes that tells two tables apart whatever their order."""
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(
            f"select count(*), count(distinct component), sum(hash(node, component)) from {table}"
        ).fetchall()[0]


def _cells(runs: Sequence[Measured]) -> str:
    wall, cpu = _median(run.wall for run in runs), _median(run.cpu for run in runs)
    return f"{wall:.1f} | {cpu:.1f} | {max(run.peak_gb for run in runs):.2f}"


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edges", type=int, nargs="*", default=SIZES, help="sizes to measure")
    parser.add_argument("--repeats", type=int, default=3, help="closings of each kind")
    parser.add_argument("--close", nargs="*", help=argparse.SUPPRESS)
    options, further = parser.parse_known_args(arguments)
    if options.close:
        closer, database, *of = options.close
        print(json.dumps(asdict(CLOSERS[closer](Path(database), *of, *further))))
        return
    from benchmarks.orchestration_tax import write_section

    beside, again = list(BESIDE_HEAD), list(AGAIN_HEAD)
    for edge_count in options.edges:
        with tempfile.TemporaryDirectory(prefix="dsegment-bench-") as folder:
            graph = Path(folder) / "graph.duckdb"
            write_graph(graph, edge_count)
            beside += beside_others(graph, edge_count, options.repeats)
            again += when_edges_are_new(graph, edge_count, options.repeats)
    lines = [*beside, "", *again]
    print("\n".join(lines))
    write_section("Connected components", lines, NOTE)


BESIDE_HEAD = (
    "| edges | nodes | components | closed by | wall s | CPU s | peak GB | CPU beside scipy |",
    "|---:|---:|---:|---|---:|---:|---:|---:|",
)
AGAIN_HEAD = (
    "| edges | nodes | edges are | rebuild wall s | CPU s | peak GB "
    "| update wall s | CPU s | peak GB | update's CPU |",
    "|---:|---|---|---:|---:|---:|---:|---:|---:|---:|",
)
NOTE = (
    "From a table of edges to a table of (node, component); medians, and the largest peak of the "
    "process with its imports. Splink and, beside scipy, pseudonyms run once. Splink is not "
    "charged for the table of nodes that it needs. scipy has one thread; where cores are "
    "hyper-threads, two threads of DuckDB count more CPU seconds for the same work. Bars: dbt on "
    "integers at most scipy's CPU seconds and half of Splink's; an update after one edge in a "
    "hundred is new at most a tenth of a rebuild's CPU seconds."
)


if __name__ == "__main__":
    main()
