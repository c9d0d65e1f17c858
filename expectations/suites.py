"""The suites as data: read from YAML, checked, and handed on as plain frozen objects.

Here belongs: the shape of a suite, its validation, and the default suite of a raw table.
Not here: anything that imports Great Expectations (seconds of start-up that a run with nothing to
check must not pay) or opens a database.

Only expectation types whose results are counts or numbers are accepted: a type that reports the
values it found (distinct sets, most common value, quantiles of a text) would carry personal data
into the log of the run, the results table and the screen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

SUITES_FOLDER = Path(__file__).parent / "suites"
GATES = ("landing", "marts", "ml")
SQL_TYPE = "unexpected_rows_expectation"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RULE = re.compile(r"[a-z][a-z0-9_]*\Z")
_BOUNDS = frozenset({"min_value", "max_value"})
_STRICT_BOUNDS = _BOUNDS | {"strict_min", "strict_max"}


class SuiteError(ValueError):
    """A suite cannot be used; the message names the file, the entry and what to change."""


@dataclass(frozen=True)
class _TypeSpec:
    """What one accepted expectation type needs: kwargs it must have and kwargs it may have."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    needs_a_bound: bool = False


def _spec(*required: str, optional: frozenset[str] | None = None, bound: bool = False) -> _TypeSpec:
    return _TypeSpec(frozenset(required), optional or frozenset(), bound)


_MOSTLY = frozenset({"mostly"})
KNOWN_TYPES: Mapping[str, _TypeSpec] = {
    "expect_column_to_exist": _spec("column"),
    "expect_column_values_to_not_be_null": _spec("column", optional=_MOSTLY),
    "expect_column_values_to_be_null": _spec("column", optional=_MOSTLY),
    "expect_column_values_to_be_unique": _spec("column", optional=_MOSTLY),
    "expect_column_values_to_be_between": _spec(
        "column", optional=_STRICT_BOUNDS | _MOSTLY, bound=True
    ),
    "expect_column_values_to_be_in_set": _spec("column", "value_set", optional=_MOSTLY),
    "expect_column_values_to_not_be_in_set": _spec("column", "value_set", optional=_MOSTLY),
    "expect_column_value_lengths_to_equal": _spec("column", "value", optional=_MOSTLY),
    "expect_column_value_lengths_to_be_between": _spec(
        "column", optional=_STRICT_BOUNDS | _MOSTLY, bound=True
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": _spec(
        "column_A", "column_B", optional=frozenset({"or_equal", "ignore_row_if", "mostly"})
    ),
    "expect_compound_columns_to_be_unique": _spec(
        "column_list", optional=frozenset({"ignore_row_if", "mostly"})
    ),
    "expect_column_min_to_be_between": _spec("column", optional=_STRICT_BOUNDS, bound=True),
    "expect_column_max_to_be_between": _spec("column", optional=_STRICT_BOUNDS, bound=True),
    "expect_column_mean_to_be_between": _spec("column", optional=_STRICT_BOUNDS, bound=True),
    "expect_column_sum_to_be_between": _spec("column", optional=_STRICT_BOUNDS, bound=True),
    "expect_column_unique_value_count_to_be_between": _spec(
        "column", optional=_STRICT_BOUNDS, bound=True
    ),
    "expect_table_row_count_to_be_between": _spec(optional=_STRICT_BOUNDS, bound=True),
    "expect_table_row_count_to_equal": _spec("value"),
    SQL_TYPE: _spec("unexpected_rows_query"),
}


@dataclass(frozen=True)
class Expectation:
    """One rule on one table, in Great Expectations' own `type` and `kwargs`.

    `rule` is the short stable name that results are filed under (the type itself when the suite
    gives none); `description` says in plain language what must hold and what it means when it
    does not, for the person who is paged.
    """

    type: str
    kwargs: Mapping[str, Any]
    description: str
    rule: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that the kwargs name, in order (none for an SQL rule)."""
        named = [self.kwargs.get(k) for k in ("column", "column_A", "column_B")]
        return tuple(c for c in named if c) + tuple(self.kwargs.get("column_list", ()))

    @property
    def column_name(self) -> str | None:
        """The columns as one text for a result row, or None when the rule is about the table."""
        return ", ".join(self.columns) or None


@dataclass(frozen=True)
class Suite:
    """All rules that one gate puts to one table."""

    gate: str
    schema: str
    table: str
    expectations: tuple[Expectation, ...] = field(default=())

    @property
    def name(self) -> str:
        """`gate/schema.table`, as the file is called."""
        return f"{self.gate}/{self.schema}.{self.table}"

    def __add__(self, other: Suite) -> Suite:
        """Both suites' rules on one table; raises SuiteError when the tables or names clash."""
        if (self.gate, self.schema, self.table) != (other.gate, other.schema, other.table):
            raise SuiteError(f"{self.name} and {other.name} are suites of different tables.")
        return _checked_suite(
            self.gate, self.schema, self.table, self.expectations + other.expectations, self.name
        )


def load_suites(gate: str | None = None, folder: Path = SUITES_FOLDER) -> tuple[Suite, ...]:
    """Every suite in the folder, or those of one gate, ordered by gate and table.

    Raises SuiteError for a malformed file, a file in a folder that is no gate, or an unknown gate.
    """
    if gate is not None and gate not in GATES:
        raise SuiteError(f"There is no gate '{gate}'; the gates are {', '.join(GATES)}.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix in {".yml", ".yaml"})
    suites = [load_suite(path) for path in paths]
    return tuple(suite for suite in suites if gate in (None, suite.gate))


def load_suite(path: Path) -> Suite:
    """The suite in one file; its gate is the folder's name, its table the file's `schema.table`.

    Raises SuiteError naming the file and the entry (1-based) when anything in it is not usable.
    """
    where = f"{path.parent.name}/{path.name}"
    schema, _, table = path.stem.partition(".")
    if not (_IDENTIFIER.match(schema) and _IDENTIFIER.match(table)):
        raise SuiteError(f"{where}: a suite file is called <schema>.<table>.yml.")
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SuiteError(f"{where}: this is not readable YAML: {error}") from error
    if not isinstance(document, dict) or set(document) - {"description", "expectations"}:
        raise SuiteError(f"{where}: a suite has the entries 'description' and 'expectations'.")
    if not isinstance(document.get("description"), str):
        raise SuiteError(f"{where}: say in 'description' what this suite protects.")
    entries = document.get("expectations")
    if not isinstance(entries, list) or not entries:
        raise SuiteError(f"{where}: 'expectations' must be a list with at least one entry.")
    expectations = tuple(_expectation(entry, where, n) for n, entry in enumerate(entries, start=1))
    return _checked_suite(path.parent.name, schema, table, expectations, where)


def landing_suite(
    schema: str,
    table: str,
    *,
    key_columns: Sequence[str] = (),
    required_columns: Sequence[str] = (),
    pseudonym_columns: Sequence[str] = (),
    ranges: Mapping[str, tuple[Any, Any]] | None = None,
    accepted: Mapping[str, Sequence[Any]] | None = None,
    ledger: tuple[str, str] | None = None,
    keeps_every_row: bool = True,
    minimum_rows: int = 0,
) -> Suite:
    """The default suite of a declared raw table, from what its declaration already says.

    The door has refused the rows that break the declaration, so every rule here is expected to
    hold; the gate is the second pair of eyes that notices when the door itself is wrong.

    Args:
        schema: Schema of the raw table, for example `raw`.
        table: Name of the raw table.
        key_columns: Columns that together identify a row; empty when the source has no key.
        required_columns: Columns that are never empty (a key need not be repeated here).
        pseudonym_columns: Columns that hold 64 hexadecimal digits or nothing.
        ranges: Column → (minimum, maximum), both inclusive, None for an open end.
        accepted: Column → the values it may have. At most 100: a longer list is a table to join.
        ledger: (source, entity) in `quality.load_ledger`; None leaves the row account out.
        keeps_every_row: False when a later delivery may replace rows (upsert, snapshot), so that
            a file's rows in the table may be fewer than the ledger says were loaded.
        minimum_rows: Fewest rows that make sense; 0 for a source that may be absent.

    Raises:
        SuiteError: A name is not a plain column name, or a list of values is too long.

    """
    entries: list[dict[str, Any]] = []
    required = list(dict.fromkeys([*key_columns, *required_columns, "_file_id", "_row_number"]))
    entries += [
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": column},
            "description": f"Every row of {table} has a {column}; the door should have refused the "
            "others.",
        }
        for column in required
    ]
    entries += [
        {
            "type": SQL_TYPE,
            "rule": f"{column}_is_a_pseudonym",
            "kwargs": {
                # DuckDB evaluates ltrim once for each distinct value of a compressed column, a
                # regular expression once for each row: 0.1 against 3 CPU seconds on 10 M rows.
                "unexpected_rows_query": f'select 1 from {{batch}} where length("{column}") <> 64 '
                f"or ltrim(\"{column}\", '0123456789abcdef') <> ''"
            },
            "description": f"{column} holds keyed pseudonyms only (64 hexadecimal digits). "
            "Anything else may be a personal value that was not pseudonymised: stop and look.",
        }
        for column in pseudonym_columns
    ]
    for column, (low, high) in (ranges or {}).items():
        bounds = {k: v for k, v in (("min_value", low), ("max_value", high)) if v is not None}
        entries.append(
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": column, **bounds},
                "description": f"{column} stays within the range that the source declares.",
            }
        )
    entries += [
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": column, "value_set": list(values)},
            "description": f"{column} has one of the values that the source declares.",
        }
        for column, values in (accepted or {}).items()
    ]
    if key_columns:
        entries.append(_unique_key_entry(table, key_columns))
    if ledger is not None:
        entries.append(_row_account_entry(table, ledger, keeps_every_row))
    if minimum_rows > 0:
        entries.append(
            {
                "type": "expect_table_row_count_to_be_between",
                "kwargs": {"min_value": minimum_rows},
                "description": f"{table} has at least {minimum_rows} rows; an emptier one means "
                "that a delivery is missing.",
            }
        )
    where = f"landing suite of {schema}.{table}"
    for column in [*required, *pseudonym_columns, *(ranges or {}), *(accepted or {})]:
        if not _IDENTIFIER.match(column):
            raise SuiteError(f"{where}: '{column}' is not a plain column name.")
    expectations = tuple(_expectation(entry, where, n) for n, entry in enumerate(entries, start=1))
    return _checked_suite("landing", schema, table, expectations, where)


def _unique_key_entry(table: str, key_columns: Sequence[str]) -> dict[str, Any]:
    # The groups of the real key are formed only for rows whose 64-bit hash repeats, so that
    # millions of rows cost one narrow aggregate however many text columns the key has.
    key = ", ".join(f'"{column}"' for column in key_columns)
    return {
        "type": SQL_TYPE,
        "rule": "key_is_unique",
        "kwargs": {
            "unexpected_rows_query": f"select {key} from {{batch}} where hash({key}) in "
            f"(select hash({key}) from {{batch}} group by 1 having count(*) > 1) "
            f"group by {key} having count(*) > 1"
        },
        "description": f"{' + '.join(key_columns)} identifies one row of {table}. The count is the "
        "number of keys that stand for several rows: a delivery was loaded twice.",
    }


def _row_account_entry(
    table: str, ledger: tuple[str, str], keeps_every_row: bool
) -> dict[str, Any]:
    source, entity = (name.replace("'", "''") for name in ledger)
    broken = (
        "landed.row_count is distinct from ledger.rows_loaded"
        if keeps_every_row
        else "ledger.file_id is null or landed.row_count > ledger.rows_loaded"
    )
    return {
        "type": SQL_TYPE,
        "rule": "rows_agree_with_the_ledger",
        "kwargs": {
            "unexpected_rows_query": "with landed as (select _file_id, count(*) as row_count "
            "from {batch} group by _file_id), ledger as (select file_id, rows_loaded from "
            f"quality.load_ledger where source = '{source}' and entity = '{entity}' and status = "
            "'loaded' and rows_loaded > 0) select 1 from landed full join ledger on "
            f"landed._file_id = ledger.file_id where {broken}"
        },
        "description": f"Every row of {table} comes from a file that the load ledger lists, and as "
        "many as it lists. The count is the number of files that were half loaded or unlisted.",
    }


def _expectation(entry: object, where: str, number: int) -> Expectation:
    label = f"{where}, entry {number}"
    if not isinstance(entry, dict):
        raise SuiteError(f"{label}: an entry has 'type', 'kwargs' and 'description'.")
    if isinstance(entry.get("rule"), str):
        label += f" ({entry['rule']})"
    if unknown := sorted(set(map(str, entry)) - {"type", "rule", "kwargs", "description"}):
        raise SuiteError(f"{label}: unknown field {', '.join(unknown)}.")
    kind, kwargs, text = entry.get("type"), entry.get("kwargs", {}), entry.get("description")
    if not isinstance(kind, str) or kind not in KNOWN_TYPES:
        raise SuiteError(
            f"{label}: '{kind}' is not an accepted type (accepted are those whose results carry "
            f"counts and numbers only): {', '.join(sorted(KNOWN_TYPES))}."
        )
    if not isinstance(text, str) or len(text.split()) < 4:
        raise SuiteError(f"{label}: say in 'description' what must hold, in a plain sentence.")
    if not isinstance(kwargs, dict):
        raise SuiteError(f"{label}: 'kwargs' must be a mapping.")
    _check_kwargs(kind, kwargs, label)
    rule = entry.get("rule", kind)
    if kind == SQL_TYPE and "rule" not in entry:
        raise SuiteError(f"{label}: an SQL rule needs a 'rule' name to be filed under.")
    if not isinstance(rule, str) or not _RULE.match(rule):
        raise SuiteError(f"{label}: 'rule' is lower_case_with_underscores, not '{rule}'.")
    return Expectation(type=kind, kwargs=kwargs, description=" ".join(text.split()), rule=rule)


def _check_kwargs(kind: str, kwargs: dict[str, Any], label: str) -> None:
    spec = KNOWN_TYPES[kind]
    if missing := sorted(spec.required - set(kwargs)):
        raise SuiteError(f"{label}: {kind} needs {', '.join(missing)}.")
    if unknown := sorted(set(map(str, kwargs)) - spec.required - spec.optional):
        raise SuiteError(f"{label}: {kind} does not take {', '.join(unknown)}.")
    # A between with neither end passes whatever the table holds.
    if spec.needs_a_bound and all(kwargs.get(bound) is None for bound in _BOUNDS):
        raise SuiteError(f"{label}: {kind} needs min_value or max_value.")
    for name in ("column", "column_A", "column_B"):
        if name in kwargs and not isinstance(kwargs[name], str):
            raise SuiteError(f"{label}: {name} is the name of a column.")
    columns = kwargs.get("column_list", ["", ""])
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise SuiteError(f"{label}: column_list is a list of column names.")
    if len(columns) < 2:
        raise SuiteError(f"{label}: column_list needs two columns or more.")
    mostly = kwargs.get("mostly", 1)
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 < mostly <= 1:
        raise SuiteError(f"{label}: mostly is a share above 0 and up to 1.")
    values = kwargs.get("value_set", [None])
    if not isinstance(values, list) or not 1 <= len(values) <= 100:
        raise SuiteError(
            f"{label}: value_set is a list of 1 to 100 values; a longer one is slow in every "
            "engine, so keep it in a table and write an SQL rule that joins it."
        )
    if kind == SQL_TYPE:
        _check_query(kwargs["unexpected_rows_query"], label)


def _check_query(query: object, label: str) -> None:
    if not isinstance(query, str) or not query.lower().lstrip().startswith(("select", "with")):
        raise SuiteError(f"{label}: unexpected_rows_query is a select that returns the bad rows.")
    try:
        placeholders = {name for _, name, _, _ in Formatter().parse(query) if name is not None}
    except ValueError as error:
        raise SuiteError(f"{label}: {error}; a literal brace is written doubled.") from error
    if placeholders != {"batch"}:
        raise SuiteError(
            f"{label}: unexpected_rows_query reads the table as {{batch}} and has no other "
            "placeholder; a literal brace is written doubled."
        )


def _checked_suite(
    gate: str, schema: str, table: str, expectations: tuple[Expectation, ...], where: str
) -> Suite:
    if gate not in GATES:
        raise SuiteError(f"{where}: '{gate}' is not a gate; the gates are {', '.join(GATES)}.")
    if not (_IDENTIFIER.match(schema) and _IDENTIFIER.match(table)):
        raise SuiteError(f"{where}: '{schema}.{table}' is not a plain table name.")
    seen: set[tuple[str, str | None]] = set()
    for number, expectation in enumerate(expectations, start=1):
        key = (expectation.rule, expectation.column_name)
        # Results are filed by (table, rule, column): two under one name could not be told apart.
        if key in seen:
            raise SuiteError(
                f"{where}, entry {number} ({expectation.rule}): this rule is there already for "
                f"{expectation.column_name or 'the table'}; give it a 'rule' name of its own."
            )
        seen.add(key)
    return Suite(gate, schema, table, expectations)


class _StrictLoader(yaml.CSafeLoader):
    """YAML that refuses a key written twice, where the plain loader keeps the last silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, or a ConstructorError with its position when a key stands twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key}' stands twice", node.value[position][0].start_mark
                )
        return super().construct_mapping(node, deep=deep)
