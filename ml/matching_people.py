"""People of the warehouse whose records look alike, found inside the vault.

Here belong which rows of the vault are a record of a person, and turning scored pairs of records
into scored pairs of people. How records are compared belongs to `ml.matching`; what becomes of a
score belongs to dbt (`int_identity__matches_judged`).

Values are read from the vault into the in-memory database of one call. What comes out is
pseudonyms, probabilities and the names of fields that agree.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ml.errors import MatchingError
from ml.matching import MatchingModel, MatchingSettings, train
from ml.matching_blocking import Connection

# What a declared attribute or identifier type is to the matching; others are not compared.
KIND_OF = {
    "name": "name",
    "given_name": "given_name",
    "surname": "surname",
    "birth_date": "birth_date",
    "address": "address",
    "postcode": "postcode",
    "city": "city",
    "company": "text",
    "email": "email",
    "phone": "phone",
}
_DATABASE = "dsegment_people"
RECORDS = f"{_DATABASE}.main.people_records"

SCORE_SCHEMA = {
    "pseudonym_a": pl.String,
    "pseudonym_b": pl.String,
    "match_probability": pl.Float64,
    "match_weight": pl.Float64,
    "evidence": pl.String,
}


@dataclass(frozen=True)
class PersonTable:
    """A vault table whose rows describe a person.

    `fields` maps attributes and contact types to its columns, e.g. {"name": "recipient_name"};
    `identifiers` are its identifier columns, the strongest first. Columns are named as in
    `sources.yml`: the vault has `<column>_normalised` and `<column>_pseudonym` of each.
    """

    table: str
    fields: Mapping[str, str]
    identifiers: Sequence[str]


@dataclass(frozen=True)
class Warehouse:
    """Where the deterministic people, their records and the refused identifiers are."""

    people: str = "intermediate.int_identity__people_linked"  # pseudonym, people_group
    identifiers: str = "intermediate.int_identity__identifiers_judged"  # pseudonym, refused_reason
    profiles: str = "intermediate.int_people__profiles_unioned"  # customer_key, one row per record
    # people_group, agreed_group
    corroborated: str = "intermediate.int_identity__people_corroborated"
    blocked: str = "raw.identity_blocked"  # pseudonym, reason; attributes too


def fields_of(tables: Sequence[PersonTable]) -> dict[str, str]:
    """Return field → kind of what the tables have in all."""
    named = {name for table in tables for name in table.fields}
    return {name: kind for name, kind in KIND_OF.items() if name in named}


def records_sql(
    tables: Sequence[PersonTable], warehouse: Warehouse | None = None, *, completed: bool = False
) -> str:
    """SQL of the records: record_id, pseudonym, person, and each field with its `_key`.

    One row per person and distinct set of values: a hundred orders to one address are one record.
    With `completed`, an empty value is taken from the person's other records where these agree on
    one: an order without birth date must not hide that the birth dates of two people differ.
    `pseudonym` is the record's strongest identifier that belongs to somebody; a record without one
    is left out, since nobody could say whose it is. A refused value (placeholder, shared by many)
    is empty: it would make strangers alike. `times_seen` (see `_times_seen_sql`) is of the person
    and not of the record: not completed it stands on one record of each, or else those with many
    would teach most of what it is worth.
    """
    warehouse = warehouse or Warehouse()
    fields = fields_of(tables)
    parts = "\nUNION ALL BY NAME\n".join(_table_sql(t, fields, warehouse) for t in tables)
    values = ", ".join(f"{name}, {name}_key" for name in fields)
    said = " + ".join(f"({name} IS NOT NULL)::INT" for name in fields)
    own = ", ".join(
        f"coalesce({column}, CASE WHEN min({name}_key) OVER w = max({name}_key) OVER w"
        f" THEN min({column}) OVER w END) AS {column}"
        for name in fields
        for column in (name, f"{name}_key")
    )
    times_seen = "any_value(times_seen)"
    if not completed:
        first = "min(record_id) = min(min(record_id)) OVER (PARTITION BY person)"
        times_seen = f"CASE WHEN {first} THEN {times_seen} END"
    rows = f"SELECT record_id, pseudonym, person, {own if completed else values} FROM ({parts})"
    return f"""
        SELECT min(record_id) AS record_id, arg_min(pseudonym, record_id) AS pseudonym,
               person, {values}, {times_seen} AS times_seen
        FROM ({rows} WHERE person IS NOT NULL WINDOW w AS (PARTITION BY person))
        LEFT JOIN ({_times_seen_sql(warehouse)}) USING (person)
        WHERE {said} >= 2
        GROUP BY person, {values}
    """


def _times_seen_sql(warehouse: Warehouse) -> str:
    """SQL of how many records with a profile show a person, as the warehouse counts them.

    A full delivery each night adds rows to the vault and nothing to what is known. People joined
    past matching, by a device and a name, are left out: they have been seen often and are one.
    """
    return f"""
        SELECT people_group AS person, count(*) AS times_seen
        FROM {warehouse.profiles} JOIN {warehouse.people} ON pseudonym = customer_key
        WHERE people_group NOT IN (
            SELECT unnest([people_group, agreed_group]) FROM {warehouse.corroborated}
        )
        GROUP BY ALL
    """


def train_on_people(
    connection: Connection,
    tables: Sequence[PersonTable],
    *,
    warehouse: Warehouse | None = None,
    settings: MatchingSettings | None = None,
) -> MatchingModel:
    """Learn from the vault; records of one deterministic person are known to be one.

    Raises:
        MatchingError: too few records, or nothing that tells them apart.

    """
    with _records(connection, tables, warehouse):
        fields = fields_of(tables) | {"times_seen": "times_seen"}
        return train(connection, RECORDS, fields, group_column="person", settings=settings)


def match_people(
    connection: Connection,
    tables: Sequence[PersonTable],
    model: MatchingModel,
    *,
    warehouse: Warehouse | None = None,
    threshold: float | None = None,
) -> pl.DataFrame:
    """Return one row per pair of deterministic people whose best two records reach the threshold.

    Columns as in `SCORE_SCHEMA`; the pseudonyms are the strongest identifiers of the two records,
    pseudonym_a < pseudonym_b. Empty when nobody is alike.
    """
    with _records(connection, tables, warehouse, completed=True):
        pairs = model.predict(connection, RECORDS, threshold, group_column="person")
        people = connection.sql(f"SELECT record_id, person, pseudonym FROM {RECORDS}").pl()
    for side in "ab":
        pairs = pairs.join(
            people.rename(
                {
                    "record_id": f"id_{side}",
                    "person": f"person_{side}",
                    "pseudonym": f"pseudonym_{side}",
                }
            ),
            on=f"id_{side}",
        )
    return (
        pairs.with_columns(
            first=pl.min_horizontal("person_a", "person_b"),
            second=pl.max_horizontal("person_a", "person_b"),
            lesser=pl.min_horizontal("pseudonym_a", "pseudonym_b"),
            greater=pl.max_horizontal("pseudonym_a", "pseudonym_b"),
        )
        .sort(-pl.col("match_weight"), "lesser", "greater", "evidence")
        .unique(["first", "second"], keep="first", maintain_order=True)
        .select(
            pseudonym_a="lesser",
            pseudonym_b="greater",
            match_probability="match_probability",
            match_weight="match_weight",
            evidence="evidence",
        )
        .cast(SCORE_SCHEMA)
    )


@contextlib.contextmanager
def _records(
    connection: Connection,
    tables: Sequence[PersonTable],
    warehouse: Warehouse | None,
    *,
    completed: bool = False,
) -> Iterator[None]:
    if not tables or not fields_of(tables):
        raise MatchingError("no table of the vault declares a field that can be compared")
    connection.execute(f"ATTACH ':memory:' AS {_DATABASE}")
    try:
        sql = records_sql(tables, warehouse, completed=completed)
        connection.execute(f"CREATE TABLE {RECORDS} AS {sql}")
        yield
    finally:
        connection.execute(f"DETACH {_DATABASE}")


def _table_sql(table: PersonTable, fields: Mapping[str, str], warehouse: Warehouse) -> str:
    wanted = [(name, table.fields[name]) for name in fields if name in table.fields]
    values = [
        f"CASE WHEN {column}_pseudonym NOT IN (FROM refused) THEN {column}_{part} END AS {alias}"
        for name, column in wanted
        for part, alias in (("normalised", name), ("pseudonym", f"{name}_key"))
    ]
    owned = [f"owner_{i}" for i, _ in enumerate(table.identifiers)]
    joins = "\n".join(
        f"LEFT JOIN owners AS owner_{i} ON owner_{i}.pseudonym = {column}_pseudonym"
        for i, column in enumerate(table.identifiers)
    )
    return f"""
        SELECT * FROM (
            WITH refused AS (
                SELECT pseudonym FROM {warehouse.blocked}
                UNION
                SELECT pseudonym FROM {warehouse.identifiers} WHERE refused_reason IS NOT NULL
            ),
            owners AS (
                SELECT pseudonym, people_group FROM {warehouse.people}
                ANTI JOIN refused USING (pseudonym)
            )
            SELECT '{table.table}|' || file_id || '|' || row_number AS record_id,
                   coalesce({", ".join(f"{owner}.pseudonym" for owner in owned)}) AS pseudonym,
                   coalesce({", ".join(f"{owner}.people_group" for owner in owned)}) AS person,
                   {", ".join(values)}
            FROM {table.table}
            {joins}
        )
    """
