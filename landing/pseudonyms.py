"""The key, and the keyed pseudonyms made with it.

Here belong reading or making the pseudonym key and the HMAC-SHA-256 over normalised identifiers,
computed inside DuckDB. The key is bound as query parameters (two padded blocks) and never written
into SQL text, which ends up in catalogues, logs and dbt's target folder. Which columns are
pseudonymised is declared in `sources.yml`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from landing.declarations import Column, Entity
from landing.normalise import InvalidIdentifierError, Normaliser, normaliser_for

log = logging.getLogger(__name__)

KEY_FILE = "pseudonym.key"
_CHUNK = 20_000
_BLOCK = 64


class PseudonymKeyError(ValueError):
    """The pseudonym key is not 64 hexadecimal digits; the message never carries it."""


@dataclass(frozen=True)
class PseudonymKey:
    """The secret with which identifiers are hashed; `key_id` names it without revealing it."""

    secret: bytes = field(repr=False)
    warning: str | None = None

    @property
    def key_id(self) -> str:
        """Eight hexadecimal digits that differ for different keys."""
        return hashlib.sha256(b"dsegment key id" + self.secret).hexdigest()[:8]

    @property
    def pads(self) -> dict[str, bytes]:
        """The two blocks of HMAC as query parameters `inner_pad` and `outer_pad`."""
        block = self.secret.ljust(_BLOCK, b"\0")
        return {
            "inner_pad": bytes(byte ^ 0x36 for byte in block),
            "outer_pad": bytes(byte ^ 0x5C for byte in block),
        }


def parse_key(text: str) -> PseudonymKey:
    """Read a key of 32 bytes written as 64 hexadecimal digits. Raises `PseudonymKeyError`."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        raise PseudonymKeyError(
            "the pseudonym key must be 64 hexadecimal digits: `openssl rand -hex 32` makes one"
        )
    return PseudonymKey(bytes.fromhex(text.strip()))


def read_key(home: Path, configured: str | None = None) -> PseudonymKey | None:
    """Return the configured key, or else the one kept in `home`, or none; never makes one.

    Raises `PseudonymKeyError` when the key is malformed.
    """
    if configured:
        return parse_key(configured)
    path = home / KEY_FILE
    if not path.exists():
        return None
    return parse_key(path.read_text(encoding="ascii", errors="replace"))


def read_or_create_key(home: Path, configured: str | None = None) -> PseudonymKey:
    """Return the configured key, or else the development key kept in `home`.

    The development key is made on first use, with a warning. Its file is created whole, readable by
    its owner only, and never replaced, so two processes that start together get the same key.
    Raises `PseudonymKeyError` when the key is malformed.
    """
    kept = read_key(home, configured)
    if kept:
        return kept
    path = home / KEY_FILE
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f".{KEY_FILE}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # fails if another process was first: its key is then used
    except FileExistsError:
        return parse_key(path.read_text(encoding="ascii"))
    finally:
        draft.unlink()
    warning = (
        f"no pseudonym key was given: a development key was made in {path};"
        " back it up, it is not derived"
    )
    log.warning(warning)
    return PseudonymKey(parse_key(path.read_text(encoding="ascii")).secret, warning)


def hmac_sql(message: str) -> str:
    """SQL of HMAC-SHA-256 (64 hex digits) over a text expression; bind `PseudonymKey.pads`."""
    return f"sha256($outer_pad || unhex(sha256($inner_pad || encode({message}))))"


def map_identifiers(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    column: Column,
    key: PseudonymKey,
    rows: str,
) -> str:
    """Make a temporary table with one row per distinct text of an identifier or attribute column.

    The texts are those of the relation `rows`.
    Columns: text, normalised, pseudonym (both null where the text is not usable), problem.
    Only distinct texts pass through Python, a chunk at a time, so that Python's memory does
    not grow with the file. Returns the table's name.
    """
    table = f"landing_map_{column.name}"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} (text VARCHAR, normalised VARCHAR, problem VARCHAR)"
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE landing_texts AS
        SELECT text, (row_number() OVER ()) // {_CHUNK} AS chunk
        FROM (SELECT DISTINCT "{column.name}" AS text FROM {rows} WHERE "{column.name}" IS NOT NULL)
        """
    )
    normalise = normaliser_for(
        column.pseudonym_type, entity.region(column), tuple(column.formats or ())
    )
    (last,) = connection.execute("SELECT max(chunk) FROM landing_texts").fetchall()[0]
    for chunk in range(0 if last is None else last + 1):
        texts = connection.execute(
            "SELECT text FROM landing_texts WHERE chunk = $1", [chunk]
        ).fetchall()
        connection.register("landing_spelled", _spelled([text for (text,) in texts], normalise))
        connection.execute(f"INSERT INTO {table} SELECT * FROM landing_spelled")
        connection.unregister("landing_spelled")
    connection.execute("DROP TABLE landing_texts")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {table} AS
        SELECT text, normalised, problem,
               CASE WHEN normalised IS NOT NULL
                    THEN {hmac_sql("$scope || ':' || normalised")} END AS pseudonym
        FROM {table}
        """,
        {**key.pads, "scope": entity.scope(column)},
    )
    return table


def _spelled(texts: list[str], normalise: Normaliser) -> pl.DataFrame:
    spellings: list[str | None] = []
    problems: list[str | None] = []
    for text in texts:
        try:
            spellings.append(normalise(text))
            problems.append(None)
        except InvalidIdentifierError as error:
            spellings.append(None)
            problems.append(str(error))
    columns = {"text": texts, "normalised": spellings, "problem": problems}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
