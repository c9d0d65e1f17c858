"""Why two records are one person: the path of links between them, or what was refused.

What belongs here: finding the identifier that somebody means, and telling a path in words.
What does not: deciding who is one person, which is dbt's.
"""

import hashlib
import hmac
import re
from collections import deque
from collections.abc import Mapping

import polars as pl

from dagster_project.resources import Warehouse
from landing.declarations import Declarations, Entity
from landing.normalise import InvalidIdentifierError, normaliser_for
from landing.pseudonyms import PseudonymKey

PSEUDONYM = re.compile(r"[0-9a-f]{64}")
HOW_TO_NAME = (
    "Name a record as source.entity:id (demo.receipts:R17), an identifier as type=value "
    "(email=ann@example.org), or a pseudonym by its 64 digits."
)


class UnknownIdentifierError(ValueError):
    """Nothing in the warehouse is called this; the message says how to name things."""


def find(text: str, warehouse: Warehouse, declarations: Declarations, key: PseudonymKey) -> str:
    """The pseudonym that a person means by a record, an identifier or a pseudonym.

    Raises:
        UnknownIdentifierError: there is none. The message does not repeat an identifier.

    """
    if PSEUDONYM.fullmatch(text):
        found = [text]
    elif "=" in text:
        kind, _, value = text.partition("=")
        found = _of_identifier(kind, value, declarations, key)
    elif ":" in text:
        name, _, record_id = text.partition(":")
        found = _of_record(name, record_id, warehouse, declarations)
    else:
        raise UnknownIdentifierError(HOW_TO_NAME)
    known = warehouse.read(
        "select pseudonym from identity.person_identifiers where pseudonym in "
        "(select unnest($found))",
        {"found": found},
    )["pseudonym"].to_list()
    if not known:
        raise UnknownIdentifierError(
            f"No identifier of what begins with {re.split('[=:]', text)[0]!r} is known. "
            + HOW_TO_NAME
        )
    return min(known, key=found.index)


def explain(first: str, second: str, warehouse: Warehouse) -> str:
    """The path of links between two pseudonyms of one person, or why they are two, in lines."""
    people = dict(
        warehouse.read(
            "select pseudonym, person_id from identity.person_identifiers "
            "where pseudonym in ($first, $second)",
            {"first": first, "second": second},
        ).iter_rows()
    )
    if people[first] != people[second]:
        return _refusals(first, second, people, warehouse)
    links = warehouse.read(
        """
        select edges.*
        from identity.identifier_edges as edges
        inner join identity.person_identifiers as people on edges.pseudonym_a = people.pseudonym
        where edges.is_accepted and people.person_id = $person
        order by edges.confidence desc, edges.first_seen_at, pseudonym_a, pseudonym_b
        """,
        {"person": people[first]},
    )
    path = shortest_path(links, first, second)
    lines = [f"Both are person {people[first]}. The links between them:"]
    return "\n".join([*lines, *map(_told, path)])


def shortest_path(links: pl.DataFrame, first: str, second: str) -> list[dict[str, object]]:
    """The fewest links from one pseudonym to the other, each as a row of `links`.

    Raises:
        ValueError: the links do not connect them.

    """
    beside: dict[str, list[tuple[str, dict[str, object]]]] = {}
    for link in links.iter_rows(named=True):
        beside.setdefault(link["pseudonym_a"], []).append((link["pseudonym_b"], link))
        beside.setdefault(link["pseudonym_b"], []).append((link["pseudonym_a"], link))
    came_by: dict[str, tuple[str, dict[str, object]] | None] = {first: None}
    waiting = deque([first])
    while waiting and second not in came_by:
        here = waiting.popleft()
        for there, link in beside.get(here, []):
            if there not in came_by:
                came_by[there] = (here, link)
                waiting.append(there)
    if second not in came_by:
        raise ValueError("No accepted links connect the two identifiers.")
    path = []
    step = came_by[second]
    while step:
        here, link = step
        path.append(link)
        step = came_by[here]
    return path[::-1]


def _of_identifier(
    kind: str, value: str, declarations: Declarations, key: PseudonymKey
) -> list[str]:
    """The pseudonyms that a value would have, in every scope and region declared for its type."""
    found = []
    for entity in declarations.entities:
        for column in entity.identifiers:
            if column.identifier == kind:
                try:
                    normal = normaliser_for(kind, entity.region(column))(value)
                except InvalidIdentifierError as error:
                    raise UnknownIdentifierError(f"This is no usable {kind}: {error}.") from None
                message = f"{entity.scope(column)}:{normal}".encode()
                found.append(hmac.new(key.secret, message, hashlib.sha256).hexdigest())
    if not found:
        raise UnknownIdentifierError(f"No source declares identifiers of type {kind!r}.")
    return list(dict.fromkeys(found))


def _of_record(
    name: str, record_id: str, warehouse: Warehouse, declarations: Declarations
) -> list[str]:
    """The pseudonyms in a record of a source, the strongest first."""
    entities = {f"{entity.source}.{entity.name}": entity for entity in declarations.entities}
    entity = entities.get(name)
    if entity is None or not entity.key or not entity.identifiers:
        usable = [name for name, known in entities.items() if known.key and known.identifiers]
        raise UnknownIdentifierError(f"{name!r} is none of {', '.join(sorted(usable))}.")
    priority = dict(
        warehouse.read("select identifier_type, priority from raw.identity_types").iter_rows()
    )
    columns = sorted(entity.identifiers, key=lambda column: priority.get(column.identifier, 99))
    return [
        value
        for row in warehouse.read(
            f"select {', '.join(f'{column.name}_pseudonym' for column in columns)} "
            f"from raw.{entity.table} where cast({_record_column(entity)} as varchar) = $record",
            {"record": record_id},
        ).iter_rows()
        for value in row
        if value
    ]


def _record_column(entity: Entity) -> str:
    pseudonyms = {column.name: f"{column.name}_pseudonym" for column in entity.identifiers}
    return pseudonyms.get(entity.key[0], entity.key[0])


def _refusals(first: str, second: str, people: Mapping[str, str], warehouse: Warehouse) -> str:
    refused = warehouse.read(
        """
        select links.*
        from identity.refused_links as links
        left join identity.person_identifiers as a on links.pseudonym_a = a.pseudonym
        left join identity.person_identifiers as b on links.pseudonym_b = b.pseudonym
        where [a.person_id, b.person_id] in ([$first, $second], [$second, $first])
        order by reason, pseudonym_a, pseudonym_b
        limit 20
        """,
        {"first": people[first], "second": people[second]},
    )
    lines = [f"They are two people, {people[first]} and {people[second]}."]
    lines += [
        f"  refused: {link['reason']} ({link['reason_detail'] or 'no detail'}), "
        f"{_end(link, 'a')} with {_end(link, 'b')}{_where(link)}"
        for link in refused.iter_rows(named=True)
    ]
    return "\n".join(lines if len(lines) > 1 else [*lines, "  No link between them was seen."])


def _told(link: Mapping[str, object]) -> str:
    shown = f"in {link['record_count']} records" if link["record_id"] else link["link_kind"]
    return (
        f"  {_end(link, 'a')} with {_end(link, 'b')}, {shown}{_where(link)}, "
        f"confidence {link['confidence']:.3f}"
    )


def _end(link: Mapping[str, object], end: str) -> str:
    return f"{link[f'identifier_type_{end}']} {str(link[f'pseudonym_{end}'])[:12]}…"


def _where(link: Mapping[str, object]) -> str:
    if not link["record_id"]:
        return ""
    seen = f" on {link['first_seen_at']:%Y-%m-%d}" if link["first_seen_at"] else ""
    return f", first in {link['entity']}:{link['record_id']}{seen}"
