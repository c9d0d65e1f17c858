"""The tables `raw.identity_*`, made from `identity.yml`, the decision file and the vault.

Here belong their rows and the account of what each was made from, which spares making what has not
changed. What the files may say belongs in `identity_rules`, the tables' columns in `tables`.

`raw.identity_blocked` names identifiers by pseudonym, while a pattern is about the normal form. So
it is made where both stand, in the vault, by one scan in the engine; the warehouse only learns
which pseudonyms are blocked and why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import duckdb
import polars as pl

from landing.declarations import Declarations, Entity
from landing.identity_rules import BlockedList, Identity, Row, glob_regex, normal_form
from landing.normalise import NORMALISER_VERSION
from landing.pseudonyms import PseudonymKey
from landing.tables import (
    IDENTITY,
    TableState,
    replace_identity_table,
    table_exists,
    transaction,
)

_LOWER_CASE = frozenset(
    ["email", "name", "given_name", "surname", "address", "postcode", "city", "company"]
)


def stale_identity_tables(
    connection: duckdb.DuckDBPyConnection,
    declarations: Declarations,
    identity: Identity,
    key: PseudonymKey,
) -> list[str]:
    """Names of the tables that were made from something else than what holds now.

    Reads the files' content as given and the ledger, and neither the vault nor the tables.
    """
    if not table_exists(connection, "warehouse", "quality", "identity_inputs"):
        return list(IDENTITY)
    made = dict(
        connection.execute(
            "SELECT table_name, fingerprint FROM warehouse.quality.identity_inputs"
        ).fetchall()
    )
    wanted = _fingerprints(connection, declarations, identity, key)
    return [name for name in IDENTITY if made.get(f"identity_{name}") != wanted[name]]


def write_identity_tables(
    connection: duckdb.DuckDBPyConnection,
    declarations: Declarations,
    identity: Identity,
    key: PseudonymKey,
) -> list[TableState]:
    """Make the tables that are stale, each with its account in one transaction; return all.

    Needs the vault attached as `vault`, with the tables that `tables.ensure_tables` makes.
    """
    wanted = _fingerprints(connection, declarations, identity, key)
    for name in stale_identity_tables(connection, declarations, identity, key):
        with transaction(connection):
            replace_identity_table(connection, name)
            if name == "blocked":
                _write_blocked(connection, declarations, identity.rules.blocked)
            else:
                _insert(connection, name, _rows(identity)[name])
            _account(connection, name, wanted[name])
    rows = connection.execute(
        "SELECT table_name, data_version, row_count FROM warehouse.quality.identity_inputs"
    ).fetchall()
    states = {table: (version, count) for table, version, count in rows}
    return [
        TableState("identity", name, f"identity_{name}", *states[f"identity_{name}"])
        for name in IDENTITY
    ]


def _rows(identity: Identity) -> dict[str, list[Row]]:
    rules = identity.rules
    return {
        "types": [
            (
                *(kind, r.tier, priority, r.limit_per_person, r.shared_above),
                *(r.checks_profile, r.reassigned_after_days),
            )
            for priority, (kind, r) in enumerate(rules.identifier_types.items(), 1)
        ],
        "matching": [
            (
                rules.matching.join_above,
                rules.matching.suggest_above,
                rules.matching.largest_join,
            )
        ],
        "survivorship": [
            (field, rule, rule_rank, source, source_rank)
            for field, survivorship in rules.survivorship.items()
            for rule_rank, rule in enumerate(survivorship.rules, 1)
            for source_rank, source in (
                enumerate(survivorship.sources, 1) if rule == "source_order" else [(None, None)]
            )
        ],
        "decisions": list(identity.decisions),
    }


def _fingerprints(
    connection: duckdb.DuckDBPyConnection,
    declarations: Declarations,
    identity: Identity,
    key: PseudonymKey,
) -> dict[str, str]:
    """A hash for each table of all that decides its rows, its own columns included."""
    decided_by: dict[str, object] = dict(_rows(identity))
    blocked = identity.rules.blocked
    landed = connection.execute(
        """
        SELECT source, entity, file_id, declaration_version FROM warehouse.quality.load_ledger
        WHERE status = 'loaded' ORDER BY ALL
        """
    ).fetchall()
    holding = {(e.source, e.name) for kind in blocked for e, _ in _columns(declarations, kind)}
    decided_by["blocked"] = [
        # As a list: its order decides which reason counts.
        [(kind, [said.model_dump() for said in lists]) for kind, lists in blocked.items()],
        key.key_id,
        NORMALISER_VERSION,
        declarations.business.region,
        [row for row in landed if row[:2] in holding],
    ]
    return {
        name: _hashed([[(c.name, c.sql_type) for c in columns], decided_by[name]])
        for name, (_, columns) in IDENTITY.items()
    }


def _hashed(said: object) -> str:
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:16]


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: list[Row]) -> None:
    columns = [column.name for column in IDENTITY[name][1]]
    frame = pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
    if rows:
        connection.register("landing_identity", frame)
        connection.execute(
            f"INSERT INTO warehouse.raw.identity_{name} SELECT * FROM landing_identity"
        )
        connection.unregister("landing_identity")


def _account(connection: duckdb.DuckDBPyConnection, name: str, fingerprint: str) -> None:
    # An order-free hash inside the engine: the list of blocked identifiers may be long.
    table = f"identity_{name}"
    count, content = connection.execute(
        f"SELECT count(*), bit_xor(hash(t)) FROM warehouse.raw.{table} AS t"
    ).fetchall()[0]
    connection.execute(
        "DELETE FROM warehouse.quality.identity_inputs WHERE table_name = $1", [table]
    )
    connection.execute(
        "INSERT INTO warehouse.quality.identity_inputs VALUES ($1, $2, $3, $4)",
        [table, fingerprint, _hashed([count, content]), count],
    )


# --- blocked --------------------------------------------------------------------------


def _columns(declarations: Declarations, kind: str) -> Iterable[tuple[Entity, str]]:
    for entity in declarations.entities:
        for column in entity.pseudonymised:
            if column.pseudonym_type == kind:
                yield entity, column.name


def _write_blocked(
    connection: duckdb.DuckDBPyConnection,
    declarations: Declarations,
    blocked: dict[str, list[BlockedList]],
) -> None:
    """Judge each normal form in the vault; memory grows with what is blocked, not with the vault.

    A row is judged where it stands, and only what is blocked is reduced to distinct pseudonyms.
    """
    parts = []
    for kind, lists in blocked.items():
        for entity, column in _columns(declarations, kind):
            normalised = f'"{column}_normalised"'
            parts.append(
                f"""
                SELECT {_quoted(kind)} AS identifier_type, "{column}_pseudonym" AS pseudonym,
                       {_reason_sql(declarations, kind, lists, normalised)} AS reason
                FROM vault.raw.{entity.table} WHERE {normalised} IS NOT NULL
                """
            )
    if parts:
        connection.execute(
            f"""
            INSERT INTO warehouse.raw.identity_blocked
            SELECT DISTINCT * FROM ({" UNION ALL ".join(parts)})
            WHERE reason IS NOT NULL ORDER BY ALL
            """
        )


def _reason_sql(
    declarations: Declarations, kind: str, lists: list[BlockedList], normalised: str
) -> str:
    """SQL of the first list's reason that holds for a normal form.

    All patterns of a list become one expression, which RE2 matches in a single pass.
    """
    cases = []
    for said in lists:
        tests = []
        if said.values:
            forms = {str(normal_form(kind, value, declarations)) for value in said.values}
            tests.append(f"{normalised} IN ({', '.join(map(_quoted, sorted(forms)))})")
        if said.patterns:
            fold = str.lower if kind in _LOWER_CASE else str
            either = "|".join(glob_regex(fold(pattern)) for pattern in said.patterns)
            tests.append(f"regexp_full_match({normalised}, {_quoted(either)}, 's')")
        cases.append(f"WHEN {' OR '.join(tests)} THEN {_quoted(said.reason)}")
    return f"CASE {' '.join(cases)} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
