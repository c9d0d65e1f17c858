"""Who was who on which day: the models of the history over a graph whose truth is counted by hand.

The tables that the history reads are written by the test, so that each day's links are known
exactly; the oracle joins them one by one.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dagster_project.resources import export_environment
from dagster_project.settings import Settings
from landing.dbt_sources import write_dbt_sources
from landing.declarations import read_declarations

TODAY = date(2024, 6, 30)
PRIORITY = {"login": 1, "email": 2, "device": 3}
SELECTED = (
    "stg_run__as_of stg_identity__types int_identity_history__* person_recorded_days "
    "person_identifier_history merge_history person_ids person_aliases"
)


@dataclass(frozen=True)
class Graph:
    """Identifiers with the moment they were first seen, and the links between them."""

    identifiers: dict[str, datetime | None]
    links: dict[tuple[str, str], datetime | None]
    refused: dict[tuple[str, str], str] = field(default_factory=dict)

    def people(self, day: date = date.max, *, with_undated: bool = True) -> dict[str, str]:
        """Each identifier's person by what had been seen up to a day."""

        def is_known(seen_at: datetime | None) -> bool:
            return with_undated if seen_at is None else seen_at.date() <= day

        known = {name for name, seen_at in self.identifiers.items() if is_known(seen_at)}
        root = {name: name for name in known}

        def find(name: str) -> str:
            while root[name] != name:
                name = root[name]
            return name

        for (a, b), seen_at in self.links.items():
            if a in known and b in known and is_known(seen_at):
                root[find(a)] = find(b)
        members = defaultdict(list)
        for name in known:
            members[find(name)].append(name)
        return {
            name: person_of(min(group, key=self._age))
            for group in members.values()
            for name in group
        }

    def with_links(self, links: Iterable[tuple[str, str]], seen_at: datetime | None) -> "Graph":
        return replace(self, links={**self.links, **dict.fromkeys(links, seen_at)})

    def _age(self, name: str) -> tuple:
        seen_at = self.identifiers[name]
        return seen_at is None, seen_at, PRIORITY[kind_of(name)], name


def kind_of(name: str) -> str:
    return name.split("-")[0]


def person_of(anchor: str) -> str:
    return hashlib.sha256(f"person:{anchor}".encode()).hexdigest()[:32]


@dataclass
class Town:
    """A warehouse that holds nothing but the graph and what dbt makes of it."""

    settings: Settings
    manifest: object

    def record(self, graph: Graph, today: date, *flags: str) -> None:
        """Write the graph as the tables that the history reads, and let dbt record the day."""
        from dbt.cli.main import dbtRunner

        people = graph.people()
        tables = {
            "raw.as_of": [(today, "UTC", "USD")],
            "raw.identity_types": [
                (kind, "naming", priority, 0, 0, False, 0) for kind, priority in PRIORITY.items()
            ],
            "identity.person_identifiers": [
                (kind_of(name), name, people[name], seen_at)
                for name, seen_at in graph.identifiers.items()
            ],
            "identity.identifier_edges": [
                (a, b, "naming_naming", seen_at, True) for (a, b), seen_at in graph.links.items()
            ],
            "identity.refused_links": [
                (a, b, reason, None) for (a, b), reason in graph.refused.items()
            ],
        }
        with duckdb.connect(self.settings.warehouse_path) as connection:
            for table, ddl in DDL.items():
                connection.execute(f"create schema if not exists {table.split('.')[0]}")
                connection.execute(f"create or replace table {table} ({ddl})")
                if tables[table]:
                    rows = pl.DataFrame(tables[table], orient="row", infer_schema_length=None)
                    connection.register("rows", rows)
                    connection.execute(f"insert into {table} select * from rows")
        command = ["--quiet", "run", "--project-dir", str(self.settings.dbt_dir), *flags]
        done = dbtRunner(manifest=self.manifest).invoke([*command, "--select", *SELECTED.split()])
        assert done.success, [result.message for result in done.result]

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(self.settings.warehouse_path) as connection:
            return connection.execute(query).fetchall()

    def people_on(self, day: date) -> dict[str, str]:
        return dict(
            self.rows(
                f"""
                select pseudonym, person_id from identity.person_identifier_history
                where known_from <= '{day}' and coalesce(known_to > '{day}', true)
                """
            )
        )

    def today(self) -> dict[str, str]:
        return dict(
            self.rows(
                "select pseudonym, person_id from identity.person_identifier_history"
                " where known_to is null"
            )
        )

    def changes_on(self, day: date) -> list[tuple]:
        return self.rows(
            "select change, person_id_from, person_id_to, identifier_count, pseudonym_a,"
            f" pseudonym_b, reason from identity.merge_history where changed_date = '{day}'"
            " order by all"
        )

    def resolve(self, *person_ids: str) -> set[str]:
        aliases = dict(self.rows("select alias_person_id, person_id from identity.person_aliases"))
        return {aliases.get(person_id, person_id) for person_id in person_ids}


DDL = {
    "raw.as_of": "as_of_date date, business_zone varchar, currency varchar",
    "raw.identity_types": "identifier_type varchar, tier varchar, priority integer,"
    " limit_per_person integer, shared_above integer, checks_profile boolean,"
    " reassigned_after_days integer",
    "identity.person_identifiers": "identifier_type varchar, pseudonym varchar, person_id varchar,"
    " first_seen_at timestamp",
    "identity.identifier_edges": "pseudonym_a varchar, pseudonym_b varchar, link_kind varchar,"
    " first_seen_at timestamp, is_accepted boolean",
    "identity.refused_links": "pseudonym_a varchar, pseudonym_b varchar, reason varchar,"
    " first_seen_at timestamp",
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> object:
    from dbt.cli.main import dbtRunner

    settings = Settings(home=tmp_path_factory.mktemp("parsed"))
    write_dbt_sources(read_declarations(settings.sources_file), settings.dbt_dir)
    export_environment(settings)
    return dbtRunner().invoke(["--quiet", "parse", "--project-dir", str(settings.dbt_dir)]).result


@pytest.fixture
def town(tmp_path: Path, manifest: object) -> Town:
    settings = Settings(home=tmp_path)
    export_environment(settings)
    return Town(settings, manifest)


def noon(days_ago: int) -> datetime:
    return datetime.combine(TODAY - timedelta(days=days_ago), datetime.min.time()).replace(hour=12)


def grown_town(seed: int, size: int = 400) -> Graph:
    """Identifiers that appear over 120 days, some never dated, with links between near ones."""
    random_ = random.Random(seed)
    names = [f"{random_.choice(list(PRIORITY))}-{number}" for number in range(size)]
    seen = {name: noon(random_.randrange(120)) for name in names}
    links: dict[tuple[str, str], datetime | None] = {}
    for place, name in enumerate(names[1:], 1):
        if random_.random() < 0.7:
            other = names[place - random_.randint(1, min(place, 3))]
            first = max(seen[name], seen[other])
            links[other, name] = random_.choice(
                [first, first + (noon(0) - first) * random_.random(), None]
            )
    for name in random_.sample(names, size // 20):
        seen[name] = None
    return Graph(seen, links)


@pytest.mark.parametrize("seed", range(2))
def test_the_first_run_fills_in_past_days_without_a_link_from_after_them(
    town: Town, seed: int
) -> None:
    graph = grown_town(seed)
    town.record(graph, TODAY)
    days = [day for (day,) in town.rows("select as_of_date from identity.person_recorded_days")]
    assert sorted(days) == [TODAY - timedelta(days=28 * step) for step in (4, 3, 2, 1, 0)]
    for day in days:
        assert town.people_on(day) == graph.people(day, with_undated=day == TODAY)


def test_links_that_come_and_go_again_leave_every_identifier_its_person(town: Town) -> None:
    before = grown_town(7, size=1000)
    town.record(before, TODAY)
    people = before.people()
    first_rows = set(town.rows("from identity.person_identifier_history"))
    random_ = random.Random(1)
    names, one_percent = sorted(before.identifiers), len(before.links) // 100
    added = [tuple(random_.sample(names, 2)) for _ in range(one_percent)]

    after = before.with_links(added, noon(-1))
    town.record(after, TODAY + timedelta(days=1))
    assert town.today() == after.people() != people
    changes = town.changes_on(TODAY + timedelta(days=1))
    merged = {people[name] for name in people} - {after.people()[name] for name in people}
    assert {person for _, person, *_ in changes} == merged
    assert {change for change, *_ in changes} == {"merge"}
    assert {(a, b, reason) for *_, a, b, reason in changes} <= {
        (*link, "naming_naming") for link in added
    }
    for _, old, new, count, *_ in changes:
        assert count == sum(person == old for person in people.values())
        assert town.resolve(old) == {new}

    # Half of them are refused from now on, half are no longer in the data.
    refused = dict.fromkeys(added[::2], "role_mailbox")
    town.record(replace(before, refused=refused), TODAY + timedelta(days=2))
    assert town.today() == people
    splits = town.changes_on(TODAY + timedelta(days=2))
    assert {(old, new) for _, new, old, *_ in splits} == {(old, new) for _, old, new, *_ in changes}
    for change, *_, a, b, reason in splits:
        assert change == "split"
        assert reason == ("role_mailbox" if (a, b) in refused else "link_withdrawn")
        assert (a, b) in added
    # The past stays: that day's people, and the links that made them.
    assert town.people_on(TODAY + timedelta(days=1)) == after.people()
    assert town.changes_on(TODAY + timedelta(days=1)) == changes
    open_and_closed = town.rows(
        "select pseudonym, person_id, known_from from identity.person_identifier_history"
    )
    assert {row[:3] for row in first_rows} <= set(open_and_closed)
    assert town.resolve(*(person for _, person, _ in open_and_closed)) == set(people.values())


def test_older_evidence_renames_a_person_and_the_old_id_resolves_for_ever(town: Town) -> None:
    graph = Graph({"login-1": noon(10), "email-1": noon(8)}, {("login-1", "email-1"): noon(8)})
    town.record(graph, TODAY)
    old = person_of("login-1")
    for days, older in enumerate(("device-1", "device-2"), 1):
        graph = replace(
            graph,
            identifiers={**graph.identifiers, older: noon(100 * days)},
            links={**graph.links, ("login-1", older): noon(0)},
        )
        town.record(graph, TODAY + timedelta(days=days))
        assert set(town.today().values()) == {person_of(older)}
        assert town.resolve(old) == {person_of(older)}
    assert town.resolve(person_of("device-1")) == {person_of("device-2")}
    first, second = person_of("device-1"), person_of("device-2")
    assert [town.changes_on(TODAY + timedelta(days=days)) for days in (1, 2)] == [
        [("renamed", old, first, 2, "login-1", "device-1", "older_evidence")],
        [("renamed", first, second, 3, "login-1", "device-2", "older_evidence")],
    ]


def test_an_id_resolves_though_its_own_identifier_went_on_the_day_it_was_given(town: Town) -> None:
    own, other = "login-1", "email-1"
    town.record(Graph({own: noon(0), other: noon(0)}, {(own, other): noon(0)}), TODAY)
    assert set(town.today().values()) == {person_of(own)}
    town.record(Graph({other: noon(0)}, {}), TODAY)
    assert town.resolve(person_of(own)) == {person_of(other)}


def test_a_day_again_replaces_itself_and_a_back_dated_one_changes_nothing(town: Town) -> None:
    graph = grown_town(3, size=60)
    town.record(graph, TODAY)
    tomorrow = TODAY + timedelta(days=1)
    names = sorted(graph.identifiers)
    newcomer = replace(graph, identifiers={**graph.identifiers, "email-new": noon(-1)})
    wrong = newcomer.with_links([(names[0], "email-new"), (names[0], names[-1])], noon(-1))

    def recorded() -> list[list[tuple]]:
        return [
            town.rows(f"from identity.{table} order by all")
            for table in ("person_identifier_history", "person_recorded_days", "merge_history")
        ]

    town.record(graph, tomorrow)
    quiet = recorded()
    town.record(newcomer, tomorrow)
    given_out = town.today()["email-new"]
    town.record(wrong, tomorrow)
    busy = recorded()
    assert busy != quiet
    # In force on no recorded day, and yet somebody may have noted it down.
    assert town.resolve(given_out) == {town.today()["email-new"]} != {given_out}
    town.record(graph, tomorrow, "--full-refresh")
    assert recorded() == quiet  # the newcomer is gone again, without a trace
    town.record(wrong, tomorrow)
    assert recorded() == busy
    town.record(graph, TODAY - timedelta(days=5))
    assert recorded() == busy


@pytest.mark.parametrize("unmade", ["person_identifier_history+", "merge_history"])
def test_a_run_that_stopped_has_recorded_nothing(town: Town, unmade: str) -> None:
    graph = grown_town(5, size=60)
    first, second, third = (TODAY + timedelta(days=days) for days in (1, 2, 3))
    one, other, *_ = (name for name, person in graph.people().items() if person == person_of(name))
    merged = graph.with_links([(one, other)], noon(-1))
    town.record(graph, TODAY, "--exclude", unmade)
    town.record(graph, first)
    assert town.people_on(first) == graph.people()
    filled_in = first - timedelta(days=28)
    assert town.people_on(filled_in) == graph.people(filled_in, with_undated=False) != {}

    town.record(merged, second, "--exclude", unmade)
    town.record(merged, third)
    assert town.people_on(second) == graph.people()
    assert town.today() == merged.people() != graph.people()
    ((change, *_, reason),) = town.changes_on(third)
    assert (change, reason) == ("merge", "naming_naming")

    # The day had been recorded, and was being recorded again.
    town.record(graph, third, "--exclude", unmade)
    town.record(graph, third + timedelta(days=1))
    is_still_recorded = unmade != "merge_history"
    assert town.people_on(third) == (merged if is_still_recorded else graph).people()
    assert len(town.changes_on(third)) == is_still_recorded
    assert town.today() == graph.people()


def test_the_first_day_again_and_stopped_leaves_the_days_that_it_filled_in(town: Town) -> None:
    graph, past = grown_town(5, size=60), TODAY - timedelta(days=28)
    town.record(graph, TODAY)
    before = town.people_on(past)
    town.record(graph, TODAY, "--exclude", "merge_history")
    town.record(graph, TODAY + timedelta(days=20))
    assert town.people_on(past) == before != {}
    assert town.today() == graph.people()
    assert (past,) in town.rows("select as_of_date from identity.person_recorded_days")


def test_what_comes_after_a_day_set_by_hand_is_not_known_on_it(town: Town) -> None:
    graph = grown_town(11)
    past = TODAY - timedelta(days=40)
    town.record(graph, past)
    assert town.today() == graph.people(past)
    town.record(graph, TODAY)
    assert town.today() == graph.people()
    assert town.people_on(past) == graph.people(past)
