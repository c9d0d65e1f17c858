"""One file → text columns with their physical lines, plus what could not be read.

Here belong recognising a file by its content, refusing it whole when it is not what was declared,
and reading its records as text. Types, keys and ranges are judged in `checks`; nothing here writes
a lasting table. Messages never quote a file, since what it says may be personal: engine errors do
quote values, so they are replaced.

Parquet, and UTF-8 CSV with one record a line, go through DuckDB's own readers in one pass. DuckDB's
`reject_errors` counts records, not lines, and mixed line ends stop its strict parser; so any other
CSV file, and every JSON file, is first rewritten by one streaming Python pass, which knows the line
of each record, sets aside what cannot be read, and decodes the declared encoding.

Databases and REST APIs come through `dlt`, which writes parquet files into a source's landing
folder: `_read_parquet` reads them like any other delivery.
"""

from __future__ import annotations

import csv
import hashlib
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import duckdb
import polars as pl

from landing.declarations import Entity

TEXT_TABLE = "landing_text"
"""Temporary table of the rows read: `_row_number`, `_line`, one VARCHAR per declared column."""
REJECTS_TABLE = "landing_rejects"
"""Temporary table of what could not be read: line, row_count, reason, detail, text.

`row_count` is the number of physical lines that a broken record swallowed.
"""

_LONGEST_FIELD = 1_000_000
_LONGEST_RECORD = 16_000_000
_KEPT_TEXT = 10_000
_OTHER_FORMATS = (
    b"PAR1",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"%PDF",
    b"\xd0\xcf\x11\xe0",
    b"BZh",
    b"\xfd7zXZ",
    b"(\xb5/\xfd",
)
_BATCH = 10_000
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


Reject = tuple[int, int, str, str, str]
"""One row of `REJECTS_TABLE`."""
_REJECT_COLUMNS = {
    "line": pl.Int64,
    "row_count": pl.Int64,
    "reason": pl.String,
    "detail": pl.String,
    "text": pl.String,
}


class RefusedFileError(Exception):
    """A whole file cannot be landed; `reason` is a code, `detail` says what to look at."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Fingerprint:
    """What one pass over a file's bytes tells: its identity, its lines, signs of its format."""

    file_id: str
    size_bytes: int
    line_count: int
    has_nul: bool
    ends_with_newline: bool
    head: bytes


@dataclass(frozen=True)
class FileContent:
    """What reading a file found out besides its rows.

    `has_extra_columns`: the file has undeclared columns, so its broken lines may be personal.
    """

    note: str | None
    has_extra_columns: bool


def fingerprint(path: Path) -> Fingerprint:
    """Read a file once, in blocks; its id is a hash of the content, so its name does not matter."""
    digest, size, lines, nul, head, last = hashlib.sha256(), 0, 0, False, b"", b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
            lines += block.count(b"\n")
            nul = nul or b"\0" in block
            head, last = head or block[:16], block[-1:]
    ends = last == b"\n"
    return Fingerprint(digest.hexdigest(), size, lines + (size > 0 and not ends), nul, ends, head)


def read_file(
    connection: duckdb.DuckDBPyConnection, entity: Entity, path: Path, print_: Fingerprint
) -> FileContent:
    """Fill `TEXT_TABLE` and `REJECTS_TABLE` from one file.

    Raises:
        RefusedFileError: empty_file, binary_file, wrong_encoding, truncated_file, schema_changed
            or unreadable.

    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {REJECTS_TABLE}"
        " (line BIGINT, row_count BIGINT, reason VARCHAR, detail VARCHAR, text VARCHAR)"
    )
    # Until rows are read there are none: the file before this one may have left its own.
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {TEXT_TABLE} (_row_number BIGINT)")
    if print_.size_bytes == 0:
        raise RefusedFileError("empty_file", "the file has no bytes: was its export interrupted?")
    if entity.format == "parquet":
        return _read_parquet(connection, entity, path, print_)
    _refuse_binary(entity, print_)
    read = _read_csv if entity.format == "csv" else _read_json
    content = read(connection, entity, path, print_)
    if not print_.ends_with_newline:
        tail = "the last line has no line end: the file may have been cut off"
        content = FileContent(
            f"{content.note}; {tail}" if content.note else tail, content.has_extra_columns
        )
    return content


def _refuse_binary(entity: Entity, print_: Fingerprint) -> None:
    is_wide = entity.encoding.startswith(("utf-16", "utf-32"))
    if print_.head.startswith(_OTHER_FORMATS):
        raise RefusedFileError("binary_file", f"the first bytes are not {entity.format} text")
    if print_.head.startswith(_WIDE_MARKS) and not is_wide:
        raise RefusedFileError(
            "wrong_encoding", f"the file is UTF-16, declared is {entity.encoding}"
        )
    if print_.has_nul and not is_wide:
        raise RefusedFileError("binary_file", "the file has zero bytes, which text never has")


# --- CSV ------------------------------------------------------------------------------


def _read_csv(
    connection: duckdb.DuckDBPyConnection, entity: Entity, path: Path, print_: Fingerprint
) -> FileContent:
    header, header_lines = _csv_header(entity, path)
    positions, content = _match(entity, header)
    chosen = ", ".join(f'c{at} AS "{name}"' for name, at in positions.items())
    # In a file with one column DuckDB reads an empty line as a record.
    if entity.encoding == "utf-8" and header_lines == 1 and len(header) > 1:
        # The error would quote the line; the careful pass below says which line it is and why.
        with suppress(duckdb.Error):
            _read_columns(
                connection,
                f"row_number() OVER () AS _row_number, row_number() OVER () + 1 AS _line, {chosen}",
                [path],
                [f"c{at}" for at in range(len(header))],
                entity.delimiter,
                header=True,
            )
            (count,) = connection.execute(f"SELECT count(*) FROM {TEXT_TABLE}").fetchall()[0]
            if count == print_.line_count - 1:
                return content
    with _scratch_file() as scratch:
        with scratch.open("w", encoding="utf-8", newline="") as out:
            _keep_rejects(connection, _rewrite_csv(entity, path, len(header), out))
        _read_columns(
            connection,
            f"_row_number::BIGINT AS _row_number, _line::BIGINT AS _line, {chosen}",
            [scratch],
            ["_row_number", "_line", *(f"c{at}" for at in range(len(header)))],
            ",",
            header=False,
        )
    return content


def _read_columns(
    connection: duckdb.DuckDBPyConnection,
    select: str,
    paths: list[Path],
    names: list[str],
    delimiter: str,
    *,
    header: bool,
) -> None:
    """Read CSV files as text with nothing sniffed; any malformed record is an error."""
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {TEXT_TABLE} AS
        SELECT {select}
        FROM read_csv($paths, columns = {{{columns}}}, auto_detect = false, header = {header},
                      delim = $delimiter, quote = '"', escape = '"', nullstr = '',
                      strict_mode = true, max_line_size = {_LONGEST_RECORD})
        """,
        {"paths": [str(path) for path in paths], "delimiter": delimiter},
    )


def _csv_header(entity: Entity, path: Path) -> tuple[list[str], int]:
    """Return the column names and the number of physical lines up to the end of the header."""
    try:
        with _open(entity, path) as file:
            reader = csv.reader(_bounded(file), delimiter=entity.delimiter, strict=True)
            for record in reader:
                if any(name.strip() for name in record):
                    return [
                        unicodedata.normalize("NFC", name).strip() for name in record
                    ], reader.line_num
    except UnicodeError:
        raise RefusedFileError("wrong_encoding", f"the header is not {entity.encoding}") from None
    except csv.Error:
        raise RefusedFileError("schema_changed", "the first line is not a header") from None
    raise RefusedFileError("empty_file", "the file has no header and no rows")


def _bounded(file: IO[str]) -> Iterator[str]:
    """Yield lines; refuse one that is too long, so a file without line ends cannot fill memory."""
    while line := file.readline(_LONGEST_RECORD):
        if len(line) == _LONGEST_RECORD:
            raise RefusedFileError(
                "unreadable", f"a line is longer than {_LONGEST_RECORD} characters"
            )
        yield line


def _open(entity: Entity, path: Path) -> IO[str]:
    """Open the file as text.

    A byte that is not UTF-8 spoils its row only. In any other declared encoding a byte that does
    not fit means that the declaration is wrong, so the whole file is refused.
    """
    if entity.encoding == "utf-8":
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    return path.open(encoding=entity.encoding, newline="")


def _match(entity: Entity, header: list[str]) -> tuple[dict[str, int], FileContent]:
    """Find each declared column in the header, in any order; no undeclared column is loaded."""
    declared = {column.source_name: column.name for column in entity.columns}
    missing = [name for name in declared if unicodedata.normalize("NFC", name) not in header]
    if missing:
        raise RefusedFileError(
            "schema_changed", f"declared but not in the file: {', '.join(missing)}"
        )
    twice = [name for name in declared if header.count(unicodedata.normalize("NFC", name)) > 1]
    if twice:
        raise RefusedFileError("schema_changed", f"more than once in the file: {', '.join(twice)}")
    positions = {
        name: header.index(unicodedata.normalize("NFC", said)) for said, name in declared.items()
    }
    return positions, _content(len(header) - len(declared))


def _content(extra: int) -> FileContent:
    # Counted, not named: where a file has no header, a person's record stands in its place.
    note = f"{extra} undeclared column{'s' if extra > 1 else ''} not loaded" if extra else None
    return FileContent(note, bool(extra))


def _rewrite_csv(entity: Entity, path: Path, width: int, out: IO[str]) -> Iterator[Reject]:
    """Write well-formed records with row number and line to `out`; yield the rest."""
    is_utf8 = entity.encoding == "utf-8"
    writer = csv.writer(out, lineterminator="\n")
    csv.field_size_limit(_LONGEST_FIELD)
    row_number = 0
    try:
        with _open(entity, path) as file:
            lines = _Remembered(_bounded(file))
            reader = csv.reader(lines, delimiter=entity.delimiter, strict=True)
            is_header = True
            while True:
                first = reader.line_num + 1
                lines.forget()
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    row_number += 1
                    detail = "a quote is not closed, or stands where none may"
                    yield first, reader.line_num - first + 1, "unreadable", detail, lines.text
                    continue
                if not record or (is_header and not any(record)):
                    continue
                if is_header:
                    is_header = False
                    continue
                row_number += 1
                swallowed = reader.line_num - first + 1
                if len(record) != width:
                    detail = f"{len(record)} columns where the header has {width}"
                    yield first, swallowed, "wrong_column_count", detail, lines.text
                elif is_utf8 and not _is_utf8(record):
                    yield first, swallowed, "bad_encoding", "bytes that are not UTF-8", lines.text
                else:
                    writer.writerow([row_number, first, *record])
    except UnicodeError:
        raise RefusedFileError("wrong_encoding", f"bytes that are not {entity.encoding}") from None


class _Remembered:
    """An iterator of lines that remembers the record being read, as much as quarantine keeps."""

    def __init__(self, lines: Iterator[str]):
        self._lines, self._kept, self._room = lines, [], _KEPT_TEXT

    def __iter__(self) -> _Remembered:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if self._room > 0:
            self._kept.append(line[: self._room])
            self._room -= len(line)
        return line

    def forget(self) -> None:
        """Start a new record."""
        self._kept, self._room = [], _KEPT_TEXT

    @property
    def text(self) -> str:
        """The record as it stands in the file, without its line end."""
        return _shown("".join(self._kept).rstrip("\r\n"))


def _shown(text: str) -> str:
    """Text fit for a table: undecodable bytes become question marks, zero bytes go."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _is_utf8(record: list[str]) -> bool:
    try:
        "".join(record).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _keep_rejects(connection: duckdb.DuckDBPyConnection, rejects: Iterator[Reject]) -> None:
    while batch := list(islice(rejects, _BATCH)):
        connection.register(
            "landing_batch", pl.DataFrame(batch, schema=_REJECT_COLUMNS, orient="row")
        )
        connection.execute(f"INSERT INTO {REJECTS_TABLE} SELECT * FROM landing_batch")
        connection.unregister("landing_batch")


@contextmanager
def _scratch_file() -> Iterator[Path]:
    """A private file, removed afterwards since it may hold personal data."""
    with tempfile.TemporaryDirectory(prefix="dsegment-") as folder:
        yield Path(folder) / "records.csv"


# --- JSON, one object a line ----------------------------------------------------------


def _read_json(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    path: Path,
    print_: Fingerprint,  # noqa: ARG001
) -> FileContent:
    with _scratch_file() as scratch:
        with scratch.open("w", encoding="utf-8", newline="") as out:
            _keep_rejects(connection, _rewrite_json(entity, path, out))
        _read_columns(
            connection,
            "_row_number::BIGINT AS _row_number, _line::BIGINT AS _line, text,"
            " coalesce(json_type(try_cast(text AS JSON)) = 'OBJECT', false) AS is_object",
            [scratch],
            ["_row_number", "_line", "text"],
            ",",
            header=False,
        )
    fields = ", ".join(
        f"nullif(json_extract_string(text, {_json_path(c.source_name)}), '') AS \"{c.name}\""
        for c in entity.columns
    )
    connection.execute(
        f"""
        INSERT INTO {REJECTS_TABLE}
        SELECT _line, 1, 'unreadable', 'the line is not a JSON object', left(text, {_KEPT_TEXT})
        FROM {TEXT_TABLE} WHERE NOT is_object
        """
    )
    connection.execute(f"DELETE FROM {TEXT_TABLE} WHERE NOT is_object")
    content = _json_content(connection, entity)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {TEXT_TABLE} AS"
        f" SELECT _row_number, _line, {fields} FROM {TEXT_TABLE}"
    )
    return content


def _rewrite_json(entity: Entity, path: Path, out: IO[str]) -> Iterator[Reject]:
    """Write each line with its row and line number to `out`; yield those that are not text."""
    is_utf8 = entity.encoding == "utf-8"
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    row_number = 0
    try:
        with _open(entity, path) as file:
            for number, line in enumerate(_bounded(file), start=1):
                text = line.strip()
                if not text:
                    continue
                row_number += 1
                if is_utf8 and not _is_utf8([text]):
                    yield (
                        number,
                        1,
                        "bad_encoding",
                        "bytes that are not UTF-8",
                        _shown(text[:_KEPT_TEXT]),
                    )
                else:
                    writer.writerow([row_number, number, text])
    except UnicodeError:
        raise RefusedFileError("wrong_encoding", f"bytes that are not {entity.encoding}") from None


def _json_content(connection: duckdb.DuckDBPyConnection, entity: Entity) -> FileContent:
    """Refuse a JSON file if no line has a required column; a single line may leave it out."""
    seen = {
        name
        for (name,) in connection.execute(
            f"SELECT DISTINCT unnest(json_keys(text)) FROM {TEXT_TABLE}"
        ).fetchall()
    }
    missing = [
        c.source_name for c in entity.columns if entity.is_required(c) and c.source_name not in seen
    ]
    if seen and missing:
        raise RefusedFileError(
            "schema_changed", f"declared but in no line of the file: {', '.join(missing)}"
        )
    return _content(len(seen - {c.source_name for c in entity.columns}))


def _json_path(name: str) -> str:
    path = '$."' + name.replace('"', '\\"') + '"'
    return "'" + path.replace("'", "''") + "'"


# --- Parquet --------------------------------------------------------------------------


def _read_parquet(
    connection: duckdb.DuckDBPyConnection, entity: Entity, path: Path, print_: Fingerprint
) -> FileContent:
    if not print_.head.startswith(b"PAR1"):
        raise RefusedFileError("unreadable", "the file is not parquet")
    try:
        described = connection.execute(
            "SELECT column_name FROM (DESCRIBE FROM read_parquet($1))", [str(path)]
        ).fetchall()
        header = [name for (name,) in described]
        _, content = _match(entity, header)
        chosen = ", ".join(
            f'"{_escaped(c.source_name)}"::VARCHAR AS "{c.name}"' for c in entity.columns
        )
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE {TEXT_TABLE} AS
            SELECT file_row_number + 1 AS _row_number, file_row_number + 1 AS _line, {chosen}
            FROM read_parquet($1, file_row_number = true)
            """,
            [str(path)],
        )
    except duckdb.Error as error:
        # The text of the error is not passed on: it may quote the file.
        if re.search(r"magic bytes|footer|too small|too short|metadata", str(error), re.IGNORECASE):
            raise RefusedFileError(
                "truncated_file", "the parquet footer is missing or damaged"
            ) from None
        raise RefusedFileError("truncated_file", "the parquet data is damaged") from None
    return content


def _escaped(name: str) -> str:
    return name.replace('"', '""')
