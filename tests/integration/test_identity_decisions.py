"""What a decision moves, and what it leaves: the identity models over many small towns at once.

Each town has records of its own, so one run of dbt tries hundreds of cases; the oracle walks the
links that were accepted before any decision.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dagster_project.resources import export_environment
from dagster_project.settings import Settings
from landing.dbt_sources import write_dbt_sources
from landing.declarations import read_declarations

TIERS = {
    **dict.fromkeys(("customer_id", "login", "loyalty_card"), "naming"),
    **dict.fromkeys(("phone", "email"), "joining"),
    "cookie": "weak",
}
SIGHTING = (
    "source varchar, entity varchar, record_id varchar, record_count bigint,"
    " first_seen_at timestamp, last_seen_at timestamp, identifier_type varchar, pseudonym varchar"
)
DDL = {
    "raw.identity_types": "identifier_type varchar, tier varchar, priority integer,"
    " limit_per_person integer, shared_above integer, checks_profile boolean,"
    " reassigned_after_days integer",
    "raw.identity_blocked": "identifier_type varchar, pseudonym varchar, reason varchar",
    "raw.identity_matching": "join_above double, suggest_above double, largest_join integer",
    "raw.identity_decisions": "row_number bigint, pseudonym_a varchar, pseudonym_b varchar,"
    " decision varchar, decided_by varchar, decided_at timestamp, note varchar",
    "identity.match_scores": "pseudonym_a varchar, pseudonym_b varchar, match_probability double,"
    " match_weight double, evidence varchar, model_run_id varchar, as_of_date date",
    "intermediate.int_identity__sightings_unpivoted": SIGHTING,
    "intermediate.int_identity__identifiers_seen": SIGHTING,
    "intermediate.int_identity__profile_values_listed": "pseudonym varchar, field varchar,"
    " value varchar",
}
SELECTED = "stg_identity__* int_identity__*"
WRITTEN = " ".join(table.split(".")[1] for table in DDL if table.startswith("intermediate."))
EXCLUDED = f"{WRITTEN} int_identity__sightings_unioned stg_identity__survivorship"
TOWNS = 300
NEVER_DECIDED, REJECTING, CONTRADICTING = range(3)

Links = dict[str, set[str]]
People = dict[str, frozenset[str]]
Decision = tuple[str, str, str]


class Country:
    """A warehouse of towns, and what dbt makes of their records and of people's decisions."""

    def __init__(self, home: Path) -> None:
        self._settings = Settings(home=home)
        write_dbt_sources(read_declarations(self._settings.sources_file), self._settings.dbt_dir)
        export_environment(self._settings)
        sightings = [sighting for town in range(TOWNS) for sighting in sightings_in(town)]
        rows = {
            "raw.identity_types": [
                (kind, tier, priority, 0, 0, False, 0)
                for priority, (kind, tier) in enumerate(TIERS.items())
            ],
            "raw.identity_matching": [(0.9, 0.5, 100)],
            "identity.match_scores": [score for n in range(TOWNS) for score in scores_in(n)],
            "intermediate.int_identity__sightings_unpivoted": sightings,
            "intermediate.int_identity__identifiers_seen": sightings,
        }
        for table in DDL:
            self._write(table, rows.get(table, []))

    def _write(self, table: str, rows: list[tuple]) -> None:
        with duckdb.connect(self._settings.warehouse_path) as connection:
            connection.execute(f"create schema if not exists {table.split('.')[0]}")
            connection.execute(f"create or replace table {table} ({DDL[table]})")
            if rows:
                connection.register("rows", pl.DataFrame(rows, orient="row"))
                connection.execute(f"insert into {table} select * from rows")

    def decide(self, decisions: Iterable[Decision] = (), *flags: str) -> People:
        """Each identifier's people after these decisions, the first of them on line 2."""
        from dbt.cli.main import dbtRunner

        lines = [
            (line, a, b, decision, "kim", None, None)
            for line, (a, b, decision) in enumerate(decisions, 2)
        ]
        self._write("raw.identity_decisions", lines)
        command = ["--quiet", "run", "--project-dir", str(self._settings.dbt_dir), *flags]
        chosen = ["--select", *SELECTED.split(), "--exclude", *EXCLUDED.split()]
        done = dbtRunner().invoke([*command, *chosen])
        assert done.success, [result.message for result in done.result]
        members = defaultdict(set)
        for name, person in self.rows(
            "select pseudonym, people_group from intermediate.int_identity__people_joined"
        ):
            members[person].add(name)
        return {name: frozenset(group) for group in members.values() for name in group}

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(self._settings.warehouse_path) as connection:
            return connection.execute(query).fetchall()

    def links(self) -> Links:
        """The links that hold people together."""
        links = defaultdict(set)
        for a, b in self.rows(
            "select pseudonym_a, pseudonym_b from intermediate.int_identity__links_judged"
            " where is_accepted"
        ):
            links[a].add(b)
            links[b].add(a)
        return links


def sightings_in(town: int) -> Iterator[tuple]:
    """Records of one town, few or many, of two to four identifiers, none of them dated."""
    random_ = random.Random(town)
    names = [f"{town} {kind} {n}" for kind in TIERS for n in range(random_.randint(1, 4))]
    for record in range(random_.randint(2, 12)):
        for name in random_.sample(names, random_.choice((2, 2, 2, 3, 4))):
            yield "town", "records", f"{town} {record}", 1, None, None, name.split()[1], name


def scores_in(town: int) -> Iterator[tuple]:
    """Pairs of one town that the matching model is sure of, in every other town."""
    random_ = random.Random(town)
    names = sorted({name for *_, name in sightings_in(town) if is_decidable(name)})
    for _ in range(2 * (town % 2 and len(names) > 1)):
        yield *sorted(random_.sample(names, 2)), 0.95, 4.0, None, "run", None


def town_of(name: str) -> int:
    return int(name.split()[0])


def is_decidable(name: str) -> bool:
    return TIERS[name.split()[1]] != "weak"


def reached(links: Links, start: str, without: str = "") -> set[str]:
    """All that links lead to from `start`, past one identifier."""
    found, waiting = {start}, [start]
    while waiting:
        for name in links[waiting.pop()] - found - {without}:
            found.add(name)
            waiting.append(name)
    return found


def decisions_on(people: People) -> Iterator[Decision]:
    """One rejection inside a person, or three decisions on three people that contradict."""
    by_town = defaultdict(set)
    for name, person in people.items():
        if is_decidable(name):
            by_town[town_of(name)].add(person)
    for town, persons in sorted(by_town.items()):
        random_ = random.Random(town)
        known = [sorted(filter(is_decidable, person)) for person in persons]
        if town % 3 == REJECTING:
            largest = max(known, key=lambda names: (len(names), names))
            if len(largest) > 1:
                yield *random_.sample(largest, 2), "reject"
        elif town % 3 == CONTRADICTING and len(known) > 2:
            p, q, r = (random_.choice(names) for names in random_.sample(sorted(known), 3))
            yield from ((p, q, "approve"), (q, r, "approve"), (p, r, "reject"))


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Country:
    return Country(tmp_path_factory.mktemp("country"))


def test_a_decision_moves_nobody_but_the_two_it_names(country: Country) -> None:
    before, links = country.decide(), country.links()
    decisions = list(decisions_on(before))
    after, links_after = country.decide(decisions), country.links()
    refused = set(
        country.rows(
            "select pseudonym_a, pseudonym_b, refused_reason, refused_detail"
            " from intermediate.int_identity__links_judged where link_kind = 'approved'"
        )
    )
    assert after.keys() == before.keys()

    # A device that touched them and a third may hang on the third now: a contact that two claim
    # touches nobody.
    moved = {
        name
        for name, person in after.items()
        if set(filter(is_decidable, person)) != set(filter(is_decidable, before[name]))
        and is_decidable(name)
    }
    rejections = [(a, b) for a, b, _ in decisions if town_of(a) % 3 == REJECTING]
    assert len(rejections) > TOWNS / 4
    assert moved <= set().union(*(before[a] for a, _ in rejections))
    for a, b in rejections:
        assert before[a] == before[b] and after[a] != after[b]
        for end, other in ((a, b), (b, a)):
            # Whatever leads to the other one leads past this end.
            of_one_alone = before[end] - reached(links, other, without=end)
            assert of_one_alone <= after[end], (end, other)
    for name, person in after.items():
        assert reached(links_after, name) == person

    contradicted, line = set(), 0
    for number, (a, b, said) in reversed(list(enumerate(decisions, 2))):
        if said == "reject":
            line = number
        else:
            detail = f"line {line} of the decision file"
            contradicted.add((min(a, b), max(a, b), "rejected_by_decision", detail))
    assert len(contradicted) > TOWNS / 20
    assert contradicted == refused

    assert country.decide(decisions, "--full-refresh") == after
    assert country.decide() == before
