"""Which pairs of records are worth comparing: blocking rules that stay linear.

Here belong choosing the rules, once, in training, and making the pairs of a table by them. What the
keys of a kind of field are belongs to `ml.matching_fields`.

A rule asks for equal keys in one field or in two. Its pairs grow with the square of its blocks, so
the rules together have a budget of pairs per record: with more records a rule takes stricter keys,
and then leaves out its largest blocks. The work stays in proportion to the records.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from ml.matching_fields import Field, block_keys

log = logging.getLogger(__name__)


class Connection(Protocol):
    """What is asked of a DuckDB connection; only `ml.matching_records` knows the engine."""

    def execute(self, query: str, parameters: object = ...) -> Any:
        """Run statements."""

    def sql(self, query: str) -> Any:
        """Return a relation."""

    def register(self, view_name: str, python_object: object) -> Any:
        """Show a frame under a name."""

    def unregister(self, view_name: str) -> Any:
        """Forget it."""


class BlockingSettings(Protocol):
    """The part of the settings that is about pairs."""

    least_records: int
    pairs_per_record: float
    largest_block: int
    most_rules: int


def chosen_rules(
    connection: Connection,
    fields: Sequence[Field],
    records: int,
    settings: BlockingSettings,
) -> tuple[tuple[str, ...], ...]:
    """Choose the loosest key of each pair of fields that the budget of pairs allows.

    Two loose keys together find what one strict key misses: a slip in one field leaves all rules
    that do not ask for it. Where even the strictest key is too loose, its largest blocks are left
    out (a rare name is worth a look, a frequent one is not).
    """
    asked = _asked_rules(fields, settings)
    budget = _budget(records, len(asked), settings)
    chosen: dict[str, tuple[str, ...]] = {}
    for ladders in asked:
        steps = max(len(keys) for _, keys in ladders)
        # One field alone must agree as a whole: a part of it says too little.
        for step in range(steps) if len(ladders) > 1 else [steps - 1]:
            rule = tuple(f"{place}/{min(step, len(keys) - 1)}" for place, keys in ladders)
            sizes = _block_sizes(connection, fields, rule)
            largest, left_out = _largest_block(sizes, budget, settings)
            if largest >= 2 and (not left_out or step == steps - 1):
                # At their last step two rules may come to ask for the same.
                chosen.setdefault(_blocks_sql(fields, rule), rule)
                break
    return tuple(chosen.values())


def _asked_rules(
    fields: Sequence[Field], settings: BlockingSettings
) -> list[tuple[tuple[str, list[str]], ...]]:
    """Return the rules to try: each field alone, and each pair of places in two fields.

    Ends are looked at as well as starts while that leaves a moderate number of rules: the fewer
    fields there are, the less can be left to the others.
    """
    for places in (("start", "end"), ("start",)):
        ladders = {
            f.name: [(f"{f.name}:{place}", keys[place]) for place in places if place in keys]
            for f in fields
            if (keys := block_keys(f))
        }
        rules = [(ladder[0],) for ladder in ladders.values()] + [
            pair
            for one, other in itertools.combinations(ladders.values(), 2)
            for pair in itertools.product(one, other)
        ]
        if len(rules) <= settings.most_rules:
            break
    return rules


def _budget(records: int, rules: int, settings: BlockingSettings) -> float:
    return settings.pairs_per_record * max(records, settings.least_records) / max(rules, 1)


def _block_sizes(
    connection: Connection, fields: Sequence[Field], rule: Sequence[str]
) -> list[tuple[int, int]]:
    """Return (size, number of blocks of that size) of a rule, smallest first, from size 2."""
    return connection.execute(
        f"""
        SELECT n, count(*) FROM (
            SELECT count(*) AS n FROM ({_blocks_sql(fields, rule)}) GROUP BY block HAVING n > 1
        ) GROUP BY n ORDER BY n
        """
    ).fetchall()


def _largest_block(
    sizes: Sequence[tuple[int, int]], budget: float, settings: BlockingSettings
) -> tuple[int, int]:
    """Return the largest size of block that the budget of pairs allows, and the records beyond."""
    largest, pairs, beyond = 0, 0, 0
    for size, blocks in sizes:
        pairs += blocks * size * (size - 1) // 2
        if pairs <= budget and size <= settings.largest_block:
            largest = size
        else:
            beyond += size * blocks
    return largest, beyond


def _blocks_sql(fields: Sequence[Field], rule: Sequence[str]) -> str:
    by_name = {f.name: f for f in fields}
    keys, kinds = [], set()
    for part in rule:
        place, _, step = part.partition("/")
        name, _, place = place.partition(":")
        keys.append(block_keys(by_name[name])[place][int(step)])
        kinds.add(by_name[name].kind)
    present = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    if kinds == {"given_name", "surname"}:
        # In any order, since the two are often written in each other's column.
        keys = [f"least({keys[0]}, {keys[1]})", f"greatest({keys[0]}, {keys[1]})"]
    return (
        f"SELECT unique_id, hash({', '.join(keys)}) AS block FROM dsegment_records WHERE {present}"
    )


def make_pairs(
    connection: Connection,
    fields: Sequence[Field],
    rules: Sequence[Sequence[str]],
    settings: BlockingSettings,
    *,
    across_only: bool = False,
) -> None:
    """Make `dsegment_pairs`, the distinct pairs of all rules; blocks that explode are left out."""
    connection.execute(
        "CREATE OR REPLACE TABLE dsegment_found (join_key_l BIGINT, join_key_r BIGINT)"
    )
    (records,) = connection.execute("SELECT count(*) FROM dsegment_records").fetchall()[0]
    # Twice what was allowed in training: records change, and a rule should not come and go.
    allowed = 2 * _budget(records, len(rules), settings)
    for rule in rules:
        largest, beyond = _largest_block(_block_sizes(connection, fields, rule), allowed, settings)
        if beyond:
            log.info(
                "blocking rule %s leaves out %d records in blocks above %d", rule, beyond, largest
            )
        if largest < 2:
            if beyond:
                log.warning("blocking rule %s is dropped: its blocks are all too large", rule)
            continue
        connection.execute(
            f"""
            INSERT INTO dsegment_found
            WITH blocks AS ({_blocks_sql(fields, rule)}),
            small AS (
                SELECT block FROM blocks GROUP BY block
                HAVING count(*) BETWEEN 2 AND {largest}
            ),
            kept AS (SELECT unique_id, block FROM blocks SEMI JOIN small USING (block))
            SELECT l.unique_id, r.unique_id
            FROM kept AS l JOIN kept AS r ON l.block = r.block AND l.unique_id < r.unique_id
            """
        )
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE dsegment_pairs AS
        SELECT '0' AS match_key, join_key_l, join_key_r,
               coalesce(l.known_group = r.known_group, FALSE) AS is_known
        FROM (SELECT DISTINCT join_key_l, join_key_r FROM dsegment_found)
        JOIN dsegment_records AS l ON l.unique_id = join_key_l
        JOIN dsegment_records AS r ON r.unique_id = join_key_r
        WHERE NOT ({across_only} AND is_known)
        """
    )
    connection.execute("DROP TABLE dsegment_found")
