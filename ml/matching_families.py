"""Who else of a family is known at a home, and what that says of two namesakes there.

Two records of one home with one full name are one person recorded twice, or two of a family. How
often it is the second depends on whether a family lives there. Of somebody who is alone with the
family's word of the name at the address, it is mostly the first: two namesakes of one family
usually have relatives, and a family is seldom known by its namesakes alone.

Here belong counting relatives and learning what they are worth. What becomes of it belongs to
`ml.matching_weights`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ml.matching_blocking import Connection
from ml.matching_fields import Field

# Up to so many keys apart, two names of one home may be one name with a slip.
SLIP = 2


class FamilySettings(Protocol):
    """The part of the settings that is about homes."""

    largest_block: int


def add_relatives(
    connection: Connection, fields: Sequence[Field], settings: FamilySettings
) -> None:
    """Give `dsegment_records` a column `relatives`: how many other names of the family live there.

    Null where the record has no name or no address, or where so many records have the address that
    it is no home.
    """
    connection.execute("ALTER TABLE dsegment_records ADD COLUMN relatives INTEGER")
    name = next((f.name for f in fields if f.kind == "name"), None)
    address = next((f.name for f in fields if f.kind == "address"), None)
    if name is None or address is None:
        return
    connection.execute(
        f"""
        UPDATE dsegment_records SET relatives = counted.relatives
        FROM (
            WITH at_home AS (
                SELECT unique_id, coalesce(known_group, record_id) AS person,
                       {address}_alt AS home, {name}_alt AS name, {name}_family AS family,
                       {name}_alt BETWEEN 'A' AND 'T' AS is_hangul
                FROM dsegment_records
                WHERE {address}_alt IS NOT NULL AND {name}_alt IS NOT NULL
                QUALIFY count(*) OVER (PARTITION BY {address}_alt) <= {settings.largest_block}
            )
            SELECT l.unique_id, count(DISTINCT r.name) AS relatives
            FROM at_home AS l
            LEFT JOIN at_home AS r
                ON l.home = r.home AND l.person <> r.person AND l.is_hangul = r.is_hangul
                AND list_has_any(l.family, r.family)
                AND damerau_levenshtein(l.name, r.name) > {SLIP}
            GROUP BY ALL
        ) AS counted
        WHERE counted.unique_id = dsegment_records.unique_id
        """
    )


def learned_namesakes(connection: Connection) -> dict[str, float]:
    """Return how many times as likely as on average two namesakes of one home are two people.

    `alone`, where no relative of theirs is known there, and `in_family`, where one is. A person of
    a family of s known names has s - 1 relatives, two namesakes among s have s - 2, and there are
    s (s - 1) / 2 pairs who could be namesakes: so the sizes of families say how often either has
    none, and the quotient is what the absence is worth. Of few people little is learned.
    """
    ((people, alone, pairs, alone_pairs),) = connection.execute(
        """
        SELECT count(*), count(*) FILTER (relatives = 0),
               coalesce(sum(relatives), 0), coalesce(sum(relatives) FILTER (relatives = 1), 0)
        FROM (
            SELECT max(relatives) AS relatives FROM dsegment_records
            WHERE relatives IS NOT NULL GROUP BY coalesce(known_group, record_id)
        )
        """
    ).fetchall()
    alone_one, alone_two = (alone + 1) / (people + 2), (alone_pairs + 1) / (pairs + 2)
    return {"alone": alone_two / alone_one, "in_family": (1 - alone_two) / (1 - alone_one)}


def namesakes_sql(learned: Mapping[str, float]) -> str:
    """SQL of that number for the records `l` and `r`; 1 where nothing is known of their home."""
    most = "greatest(l.relatives, r.relatives)"
    return (
        f"CASE WHEN {most} > 0 THEN {learned['in_family']!r}"
        f" WHEN {most} = 0 THEN {learned['alone']!r} ELSE 1 END"
    )
