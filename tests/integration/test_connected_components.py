"""The materialisation `connected_components`, as shipped, in a dbt project of its own."""

import itertools
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dagster_project.settings import PROJECT_DIR

MACROS = PROJECT_DIR / "dbt/macros/connected_components"
CLOSES_OVER = PROJECT_DIR / "dbt/tests/generic/closes_over.sql"
# Model → its config and its SELECT over the table `edges` (node_a, node_b, part).
MODELS = {
    "rebuilt": ("", "select node_a, node_b from edges"),
    "compared": ("incremental=true", "select node_a, node_b from edges"),
    "in_parts": ("incremental=true", "select node_a, node_b, part from edges"),
    "of_text": (
        "incremental=true",
        "select 'n' || node_a as node_a, 'n' || node_b as node_b, part from edges",
    ),
}
PROJECT = """
name: closures
version: "1.0.0"
config-version: 2
profile: closures
flags: {send_anonymous_usage_stats: false}
models: {+post-hook: ["{{ var('after', 'select 1') }}"]}
"""
PROFILE = "closures: {target: it, outputs: {it: {type: duckdb, path: '%s', threads: 1}}}"
SCHEMA = """
models:
  - name: rebuilt
    data_tests: [{closes_over: {arguments: {edges: edges}}}]
"""

Edge = tuple[int | None, int | None]


class Project:
    """A dbt project with the shipped macro, its models over one table of edges."""

    def __init__(self, folder: Path, change: Callable[[str], str] = str) -> None:
        self._folder = folder
        self._database = str(folder / "closures.duckdb")
        for name in ("macros", "models", "tests/generic"):
            (folder / name).mkdir(parents=True)
        for macros in MACROS.glob("*.sql"):
            (folder / "macros" / macros.name).write_text(change(macros.read_text()))
        shutil.copy(CLOSES_OVER, folder / "tests/generic")
        (folder / "dbt_project.yml").write_text(PROJECT)
        (folder / "profiles.yml").write_text(PROFILE % self._database)
        (folder / "models/schema.yml").write_text(SCHEMA)
        for name, (config, select) in MODELS.items():
            (folder / f"models/{name}.sql").write_text(
                f"{{{{ config(materialized='connected_components', {config}) }}}}\n{select}\n"
            )
        # Parsed once: an invocation then costs a second less.
        self._manifest = None
        self._manifest = self.dbt("parse").result

    def dbt(self, *arguments: str) -> dbtRunnerResult:
        """Invoke dbt in this process."""
        where = ["--project-dir", self._folder, "--profiles-dir", self._folder, "--quiet"]
        return dbtRunner(manifest=self._manifest).invoke([*arguments, *map(str, where)])

    def run(self, *arguments: str) -> None:
        """Make the models; they must succeed."""
        made = self.dbt("run", *arguments)
        assert made.success, made.exception or [result.message for result in made.result]

    def query(self, sql: str) -> list[tuple]:
        """Rows of a query on the warehouse."""
        with duckdb.connect(self._database) as connection:
            return connection.execute(sql).fetchall()

    def load(self, edges: Iterable[tuple[Edge, int | None]]) -> None:
        """Replace the edges; each is of a part."""
        rows = [(a, b, part) for (a, b), part in edges]
        with duckdb.connect(self._database) as connection:
            connection.execute(
                "create or replace table edges (node_a bigint, node_b bigint, part int)"
            )
            if rows:
                columns = [list(column) for column in zip(*rows, strict=True)]
                connection.execute(
                    "insert into edges select unnest($1), unnest($2), unnest($3)", columns
                )

    def labels(self, model: str) -> list[tuple]:
        """The table of a model, in order."""
        return self.query(f"select node, component from {model} order by node")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    # So that some graphs are large enough for a round of their own, and some are not.
    many, fewer = "edge_count > 30000", "edge_count > 1000"
    assert many in (MACROS / "contraction.sql").read_text()
    yield Project(tmp_path_factory.mktemp("closures"), lambda macro: macro.replace(many, fewer))
    # dbt keeps its last connection, also after the folder is gone.
    DuckDBConnectionManager.close_all_connections()


def closed_over(edges: Iterable[Edge], name: Callable = int) -> list[tuple]:
    """What scipy makes of the edges: every node with the least of its component."""
    named = [(name(a), name(b)) for a, b in edges if a is not None and b is not None]
    nodes = sorted({node for edge in named for node in edge})
    if not nodes:
        return []
    position = {node: number for number, node in enumerate(nodes)}
    ends = np.array([[position[a], position[b]] for a, b in named]).T
    graph = coo_array((np.ones(len(named)), (ends[0], ends[1])), shape=(len(nodes),) * 2)
    _, labels = connected_components(graph, directed=False)
    least: dict[int, object] = {}
    for node, label in zip(nodes, labels, strict=True):
        least.setdefault(label, node)
    return [(node, least[label]) for node, label in zip(nodes, labels, strict=True)]


def shape(kind: str, size: int, names: Sequence[int], chance: random.Random) -> list[Edge]:
    """Edges of one kind over the first names."""
    if kind == "chain":
        edges = list(itertools.pairwise(names))
    elif kind == "cycle":
        edges = list(zip(names[:size], [*names[1:size], names[0]], strict=True))
    elif kind == "star":
        edges = [(names[0], name) for name in names[1:size]]
    elif kind == "loops":
        edges = [(name, name) for name in names[: size // 10 + 1]]
    elif kind == "pairs":
        edges = list(zip(names[0:size:2], names[1 : size + 1 : 2], strict=True))
    else:
        edges = [(chance.choice(names), chance.choice(names)) for _ in range(size)]
    return [edge if chance.random() < 0.5 else edge[::-1] for edge in edges]


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[Edge, int]]]:
    """A graph of several shapes, and what becomes of it: at each step the edges and their parts."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    edges: list[Edge] = []
    used = 0
    in_order = draw(st.booleans())
    for kind in draw(
        st.lists(st.sampled_from(["chain", "cycle", "star", "loops", "pairs", "any"]), max_size=7)
    ):
        size = draw(st.sampled_from([1, 2, 7, 60, 3000]))
        names = [used + number for number in range(size + 1)]
        if not in_order:
            chance.shuffle(names)
        edges += shape(kind, size, names, chance)
        used += draw(st.sampled_from([0, 1, size + 1]))  # parts may share names
    if draw(st.booleans()):  # names from all over the range of a bigint
        edges = [tuple((node * 0x9E3779B97F4A7C15) % 2**64 - 2**63 for node in e) for e in edges]
    edges += chance.choices(edges, k=len(edges) // 3) if edges else []
    edges += draw(st.lists(st.just((None, 5)), max_size=1))
    chance.shuffle(edges)
    nodes = sorted({node for edge in edges for node in edge if node is not None}) or [0]

    # What comes may come in the part of what is there, or in none.
    history = [[(edge, chance.choice([1, 2])) for edge in edges]]
    for number in draw(st.lists(st.sampled_from([2, 3, None]), max_size=3, unique=True)):
        step = list(history[-1])
        few = len(step) // 25 + 1
        if draw(st.booleans()):  # edges go, perhaps a bridge, perhaps one of two alike
            gone = set(chance.sample(range(len(step)), min(few, len(step))))
            step = [row for place, row in enumerate(step) if place not in gone]
        if draw(st.booleans()):  # edges come, between old nodes and new ones
            ends = [*chance.choices(nodes, k=few + 2), 7_000_000 + (number or 0), -(number or 9)]
            step += [((chance.choice(ends), chance.choice(ends)), number) for _ in range(few)]
        history.append(step)
    return history


@given(history=histories())
@settings(max_examples=12, deadline=None, derandomize=True)
def test_every_way_of_closing_gives_what_scipy_gives(
    project: Project, history: list[list[tuple[Edge, int]]]
) -> None:
    for number, step in enumerate(history):
        project.load(step)
        project.run(*(["--full-refresh"] if number == 0 else []))
        edges = [edge for edge, _ in step]
        right = closed_over(edges)
        for model in ("rebuilt", "compared", "in_parts"):
            assert project.labels(model) == right, (model, number)
        assert project.labels("of_text") == closed_over(edges, lambda node: f"n{node}"), number
    assert project.dbt("test").success


def test_a_long_chain_in_the_order_of_its_nodes_is_one_component(project: Project) -> None:
    project.load([((node, node + 1), 1) for node in range(50_000)])
    project.run("--select", "rebuilt", "--full-refresh")
    assert project.labels("rebuilt") == [(node, 0) for node in range(50_001)]


def test_only_the_components_of_changed_edges_are_closed_over_again(project: Project) -> None:
    chains = [
        ((10 * chain + link, 10 * chain + link + 1), 1) for chain in range(50) for link in range(5)
    ]
    project.load(chains)
    project.run("--full-refresh")
    models = ("compared", "in_parts", "of_text")
    for model in models:  # a mark on two components, to see which is written again
        mark = "'mark'" if model == "of_text" else "-1"
        node = "'n' || " if model == "of_text" else ""
        project.query(
            f"update {model} set component = {mark} where component in ({node}100, {node}200)"
        )

    def marked(model: str) -> int:
        return project.query(
            f"select count(*) from {model} where component::text in ('mark', '-1')"
        )[0][0]

    project.load([*chains, ((5, 10), 2)])
    project.run()
    assert {model: marked(model) for model in models} == dict.fromkeys(models, 12)
    assert {project.labels(model)[11][1] for model in ("compared", "in_parts")} == {0}

    # A removed edge reopens its component.
    project.load([row for row in chains if row[0] != (302, 303)] + [((5, 10), 2)])
    project.run()
    assert [marked(model) for model in models] == [12, 12, 12]
    assert dict(project.labels("compared"))[305] == 303
    assert dict(project.labels("of_text"))["n302"] == "n300"

    project.run("--full-refresh")
    assert [marked(model) for model in models] == [0, 0, 0]


def test_a_run_that_fails_leaves_everything_as_it_was(project: Project) -> None:
    chain = [((node, node + 1), 1) for node in range(100)]
    project.load(chain)
    project.run("--full-refresh")
    kept = {
        f"{model}__{what}"
        for model in ("compared", "in_parts", "of_text")
        for what in ("closed_over", "closed_parts")
    }
    tables = {"rebuilt", "compared", "of_text", *kept}
    before = {table: sorted(project.query(f"from {table}")) for table in tables}

    project.load([*chain, ((100, 101), 2)])
    failed = project.dbt("run", "--vars", "{after: \"select error('pulled the plug')\"}")
    assert not failed.success
    assert "pulled the plug" in failed.result.results[0].message
    assert {table: sorted(project.query(f"from {table}")) for table in tables} == before

    project.run()
    assert project.labels("compared") == closed_over([edge for edge, _ in chain] + [(100, 101)])
    names = {row[0] for row in project.query("select table_name from duckdb_tables()")}
    assert names == {"edges", *MODELS, *kept}


def test_nodes_that_share_a_hash_stay_apart(tmp_path: Path) -> None:
    strong, weak = "hash({{ node }})", "hash({{ node }}) % 40"
    assert strong in (MACROS / "keys.sql").read_text()
    project = Project(tmp_path, lambda macro: macro.replace(strong, weak))
    pairs = [((2 * pair, 2 * pair + 1), 1) for pair in range(12)]
    for step in (pairs, [*pairs, ((90, 91), 2)], [*pairs, ((91, 92), 3)]):
        project.load(step)
        project.run("--select", "of_text")
        assert project.labels("of_text") == closed_over(
            [edge for edge, _ in step], lambda node: f"n{node}"
        )


def test_the_test_closes_over_finds_an_edge_between_two_components(project: Project) -> None:
    project.load([((1, 2), 1), ((3, 3), 1)])
    project.run("--select", "rebuilt", "--full-refresh")
    assert project.dbt("test").success
    for harm in (
        "update rebuilt set component = 2 where node = 2",
        "delete from rebuilt where node = 3",
    ):
        project.run("--select", "rebuilt")
        project.query(harm)
        assert [result.failures for result in project.dbt("test").result] == [1]


def test_a_model_that_selects_no_edges_is_told_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "rebuilt", ("", "select 1 as node_a, 'x' as node_b"))
    failed = Project(tmp_path).dbt("run", "--select", "rebuilt")
    assert "selects node_a and node_b of one type" in failed.result.results[0].message
