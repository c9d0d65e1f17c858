"""Why two records are one person: the path of links between them, or what was refused instead.

What belongs here: finding the identifier that somebody means, and telling a path in words.
What does not: deciding who is one person, which is dbt's.
"""

import hashlib
import hmac
import re
from collections import deque
from collections.abc import Iterable, Mapping

import polars as pl

from dagster_project.resources import Warehouse
from landing.declarations import Declarations, Entity
from landing.normalise import InvalidIdentifierError, normaliser_for
from landing.pseudonyms import PseudonymKey

PSEUDONYM = re.compile(r"[0-9a-fA-F]{64}")
HOW_TO_NAME = (
    "Name a record as source.entity:id (demo.receipts:R00000000017), an identifier as type=value "
    "(email=ann@example.org), or a pseudonym by its 64 digits."
)
# How many of the refused links between two people are told; devices of a family can have dozens.
MOST_TOLD = 10

Link = dict[str, object]


class UnexplainedError(ValueError):
    """What was named is nobody's, or nothing connects it; the message says why or what to do."""


def find(
    text: str, warehouse: Warehouse, declarations: Declarations, key: PseudonymKey | None
) -> str:
    """The pseudonym that a person means by a record, an identifier or a pseudonym.

    Raises:
        UnexplainedError: it is nobody's, or there is none. The message repeats no identifier.

    """
    before, mark, after = re.fullmatch(r"([^=:]*)([=:]?)(.*)", text, re.DOTALL).groups()
    if PSEUDONYM.fullmatch(text):
        named, found = "this pseudonym", [text.lower()]
    elif mark == "=":
        named, found = f"this {before}", _of_identifier(before, after, declarations, key)
    elif mark == ":":
        named = "what this record carries"
        found = _of_record(before, after, warehouse, declarations)
    else:
        raise UnexplainedError(HOW_TO_NAME)
    judged = warehouse.read(
        """
        select pseudonym, identifier_type, refused_reason as reason, refused_detail as reason_detail
        from intermediate.int_identity__identifiers_judged
        where pseudonym in (select unnest($found))
        """,
        {"found": found},
    )
    if judged.is_empty():
        raise UnexplainedError(f"No record that was stitched shows {named}. {HOW_TO_NAME}")
    usable = judged.filter(pl.col("reason").is_null())["pseudonym"].to_list()
    if not usable:
        raise UnexplainedError(_nobodys(judged.sort("identifier_type").iter_rows(named=True)))
    return min(usable, key=found.index)


def find_both(
    first: str,
    second: str,
    warehouse: Warehouse,
    declarations: Declarations,
    key: PseudonymKey | None,
) -> list[str]:
    """What `find` finds for each. Raises `UnexplainedError`, which says for which of them."""
    found = []
    for place, text in (("FIRST", first), ("SECOND", second)):
        try:
            found.append(find(text, warehouse, declarations, key))
        except UnexplainedError as error:
            raise UnexplainedError(f"{place}: {error}") from None
    return found


def explain(first: str, second: str, warehouse: Warehouse) -> str:
    """The path of links between two pseudonyms of one person, or why they are two, in lines.

    Pseudonyms stand in full, as a line of the decision file wants them.

    Raises:
        UnexplainedError: they are one person, and yet no accepted links connect them.

    """
    known = warehouse.read(
        "select pseudonym, identifier_type, person_id from identity.person_identifiers "
        "where pseudonym in ($first, $second)",
        {"first": first, "second": second},
    )
    ends = {end["pseudonym"]: end for end in known.iter_rows(named=True)}
    person, other = ends[first]["person_id"], ends[second]["person_id"]
    if first == second:
        lines = [f"Both are one and the same identifier of person {person}; it needs no link:"]
        return "\n".join([*lines, _end(ends[first])])
    if person != other:
        lines = [f"They are two people, {person} and {other}:"]
        lines += [_end(ends[first]), _end(ends[second])]
        return "\n".join([*lines, *_refusals(ends[first], ends[second], warehouse)])
    path = shortest_path(_accepted_links(person, warehouse), first, second)
    return "\n".join([f"Both are person {person}, by these links:", *_told(first, path)])


def shortest_path(links: pl.DataFrame, first: str, second: str) -> list[Link]:
    """The fewest links from one pseudonym to the other, each as a row of `links`.

    Raises:
        UnexplainedError: the links do not connect them.

    """
    beside: dict[str, list[tuple[str, Link]]] = {}
    for link in links.iter_rows(named=True):
        beside.setdefault(link["pseudonym_a"], []).append((link["pseudonym_b"], link))
        beside.setdefault(link["pseudonym_b"], []).append((link["pseudonym_a"], link))
    came_by: dict[str, tuple[str, Link] | None] = {first: None}
    waiting = deque([first])
    while waiting and second not in came_by:
        here = waiting.popleft()
        for there, link in beside.get(here, []):
            if there not in came_by:
                came_by[there] = (here, link)
                waiting.append(there)
    if second not in came_by:
        raise UnexplainedError("No accepted links connect the two identifiers.")
    path = []
    step = came_by[second]
    while step:
        here, link = step
        path.append(link)
        step = came_by[here]
    return path[::-1]


def _of_identifier(
    kind: str, value: str, declarations: Declarations, key: PseudonymKey | None
) -> list[str]:
    """The pseudonyms that a value would have, in every scope and region declared for its type."""
    columns = [(entity, c) for entity in declarations.entities for c in entity.identifiers]
    if kind not in {column.identifier for _, column in columns}:
        kinds = ", ".join(sorted({column.identifier for _, column in columns}))
        raise UnexplainedError(f"What stands before the = is none of {kinds}.")
    if key is None:
        raise UnexplainedError(
            "The key that the pseudonyms were made with is missing: put pseudonym.key back into "
            "the state folder, or set DSEGMENT_PSEUDONYM_KEY."
        )
    found = []
    for entity, column in columns:
        if column.identifier == kind:
            try:
                normal = normaliser_for(kind, entity.region(column))(value)
            except InvalidIdentifierError as error:
                raise UnexplainedError(f"This is no usable {kind}: {error}.") from None
            if normal is None:
                raise UnexplainedError(f"This is no usable {kind}: it says that there is none.")
            message = f"{entity.scope(column)}:{normal}".encode()
            found.append(hmac.new(key.secret, message, hashlib.sha256).hexdigest())
    return list(dict.fromkeys(found))


def _of_record(
    name: str, record_id: str, warehouse: Warehouse, declarations: Declarations
) -> list[str]:
    """The pseudonyms in a record of a source, the strongest first."""
    entities = {
        f"{entity.source}.{entity.name}": entity
        for entity in declarations.entities
        if entity.key and entity.identifiers
    }
    if name not in entities:
        raise UnexplainedError(
            f"What stands before the colon is none of {', '.join(sorted(entities))}."
        )
    entity = entities[name]
    priority = dict(
        warehouse.read("select identifier_type, priority from raw.identity_types").iter_rows()
    )
    columns = sorted(entity.identifiers, key=lambda column: priority[column.identifier])
    rows = warehouse.read(
        f"select {', '.join(f'{column.name}_pseudonym' for column in columns)} "
        f"from raw.{entity.table} where cast({_record_column(entity)} as varchar) = $record",
        {"record": record_id},
    ).rows()
    if not rows:
        form = _form_of_ids(entity, warehouse)
        raise UnexplainedError(f"{name} has no record of this id. {form}")
    found = [value for row in rows for value in row if value]
    if not found:
        raise UnexplainedError(
            f"This record of {name} carries no identifier "
            f"({', '.join(column.name for column in columns)}), so it stands alone: nothing joins "
            "it to another."
        )
    return found


def _form_of_ids(entity: Entity, warehouse: Warehouse) -> str:
    column = _record_column(entity)
    first = warehouse.read(f"select cast(min({column}) as varchar) from raw.{entity.table}").item()
    return f"Its {column} is written as {first}." if first else "None was delivered yet."


def _record_column(entity: Entity) -> str:
    pseudonyms = {column.name: f"{column.name}_pseudonym" for column in entity.identifiers}
    return pseudonyms.get(entity.key[0], entity.key[0])


def _nobodys(refused: Iterable[Link]) -> str:
    reasons = "; ".join(f"{end['identifier_type']} {_reason(end)}" for end in refused)
    return (
        f"This belongs to nobody and joins nobody: {reasons}. What is blocked, and when an "
        "identifier counts as shared, stands in identity.yml."
    )


def _accepted_links(person: str, warehouse: Warehouse) -> pl.DataFrame:
    return warehouse.read(
        """
        select edges.*, scores.match_probability, scores.evidence
        from identity.identifier_edges as edges
        inner join identity.person_identifiers as people on edges.pseudonym_a = people.pseudonym
        left join identity.match_scores as scores
            on
                edges.link_kind = 'match'
                and edges.pseudonym_a = scores.pseudonym_a
                and edges.pseudonym_b = scores.pseudonym_b
        where edges.is_accepted and people.person_id = $person
        order by edges.confidence desc, edges.first_seen_at, edges.pseudonym_a, edges.pseudonym_b
        """,
        {"person": person},
    )


def _refusals(first: Link, second: Link, warehouse: Warehouse) -> list[str]:
    """What was refused between two people, in lines."""
    paths = _refused_paths(first, second, _refused_links(first, second, warehouse))
    if not paths:
        return ["No link between them was seen, nor an identifier that both were seen with."]
    lines = ["What was found between them does not join them:"]
    for path in paths[:MOST_TOLD]:
        lines += ["", *_told(path[0]["own"], path)]
    left = len(paths) - MOST_TOLD
    return [*lines, "", f"  and {left} more of these"] if left > 0 else lines


def _refused_paths(first: Link, second: Link, refused: pl.DataFrame) -> list[list[Link]]:
    """The refused links between two people, then those of both to an identifier of neither.

    Records must show it with both: whom two people resemble says nothing of the two.
    """
    people = [first["person_id"], second["person_id"]]
    mine, theirs = (
        {link["other"]: link for link in refused.iter_rows(named=True) if link["person_id"] == one}
        for one in people
    )
    direct = [[link] for link in mine.values() if link["other_person_id"] == people[1]]
    met = [
        [link, theirs[other]]
        for other, link in mine.items()
        if other in theirs
        and link["other_person_id"] not in people
        and link["record_id"]
        and theirs[other]["record_id"]
    ]
    return direct + met


def _refused_links(first: Link, second: Link, warehouse: Warehouse) -> pl.DataFrame:
    """One row per person of two and identifier (`other`) that was refused to be theirs."""
    return warehouse.read(
        """
        with refused as (
            select * from identity.refused_links
            union all by name
            select
                pseudonym_a, identifier_type_a, pseudonym_b, identifier_type_b,
                'match' as link_kind, 'suggested' as reason
            from identity.match_suggestions
        ),
        ends as (
            select *, pseudonym_a as own, pseudonym_b as other from refused
            union all
            select *, pseudonym_b as own, pseudonym_a as other from refused
        )
        select
            ends.*,
            people.person_id,
            others.person_id as other_person_id,
            scores.match_probability,
            scores.evidence
        from ends
        inner join identity.person_identifiers as people on ends.own = people.pseudonym
        left join identity.person_identifiers as others on ends.other = others.pseudonym
        left join identity.match_scores as scores
            on
                ends.link_kind = 'match'
                and ends.pseudonym_a = scores.pseudonym_a
                and ends.pseudonym_b = scores.pseudonym_b
        where list_contains($people, people.person_id)
        -- One link is enough: what a record shows before a match or a decision, what was refused
        -- before what is suggested, and if it can be, that of the identifier asked about.
        qualify row_number() over (
            partition by people.person_id, ends.other
            order by
                ends.record_id is null, ends.reason = 'suggested',
                not list_contains($asked, ends.own), ends.first_seen_at, ends.own, ends.reason
        ) = 1
        order by ends.reason, ends.other, ends.own
        """,
        {
            "people": [first["person_id"], second["person_id"]],
            "asked": [first["pseudonym"], second["pseudonym"]],
        },
    )


def _told(here: str, path: list[Link]) -> list[str]:
    """A path in lines: an identifier, the link under it, the identifier that this leads to."""
    lines = []
    for link in path:
        ends = {link[f"pseudonym_{end}"]: link[f"identifier_type_{end}"] for end in "ab"}
        lines += [f"  {ends[here] or 'unknown'} {here}", f"    {_in_words(link)}"]
        here = link["pseudonym_b" if here == link["pseudonym_a"] else "pseudonym_a"]
    return [*lines, f"  {ends[here] or 'unknown'} {here}"]


def _end(identifier: Link) -> str:
    return f"  {identifier['identifier_type']} {identifier['pseudonym']}"


def _in_words(link: Link) -> str:
    words = [_seen(link)]
    if link["match_probability"] is not None:
        words.append(f"probability {_share(link['match_probability'])} ({link['evidence']})")
    elif "confidence" in link:
        words.append(f"confidence {_share(link['confidence'])}")
    refused = f"{_reason(link)}: " if "reason" in link else ""
    return refused + ", ".join(words)


def _seen(link: Link) -> str:
    if not link["record_id"]:
        return link["link_kind"]
    on = f" on {link['first_seen_at']:%Y-%m-%d}" if link["first_seen_at"] else ""
    count = link.get("record_count", 1)
    more = f", in {count} records" if count > 1 else ""
    return f"first seen in {link['entity']}:{link['record_id']}{on}{more}"


def _reason(refused: Mapping[str, object]) -> str:
    detail = refused["reason_detail"]
    return f"{refused['reason']} ({detail})" if detail else refused["reason"]


def _share(share: float) -> str:
    # Four digits would round what is nearly certain to what nothing is.
    return f"{share:.4f}" if share < 0.99995 else "over 0.9999"
