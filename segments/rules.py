"""The segment declarations: read `segments.yml`, check every line, expand it to rules.

Belongs here: what a rule may say and the message when it says something else. Does not belong
here: who fulfils a rule (`membership.py`).

A rule is one SQL condition that polars itself parses. What it may contain is an allow-list of
words and signs, checked on the text before polars sees it: column names, numbers, quoted text,
comparisons, `and or not in between like is null`, `+ - *`. No function, subquery or cast can be
written with these, so a rule cannot read a file, draw a random number or look at a clock.
Division is left out on purpose: a customer with zero orders would stop the run or, as NaN,
count as larger than everything; `a < 0.5 * b` says the same as `a / b < 0.5`.
"""

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MODEL_COLUMNS = frozenset(
    {
        "cluster_name",
        "churn_score",
        "expected_order_count",
        "expected_value_amount",
        "value_decile",
    }
)
_RFM_COLUMN = "rfm_segment"
_KEYWORDS = frozenset(
    ["and", "or", "not", "in", "is", "null", "between", "like", "ilike", "true", "false", "date"]
)
_TAKES_BRACKET = frozenset({"and", "or", "not", "in", "between"})
_TOKEN = re.compile(
    r"""\s+
    | (?P<text>'(?:[^']|'')*')
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![A-Za-z_]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<refused>--|/\*)
    | (?P<sign><=|>=|<>|!=|[=<>()+\-*,])
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMPARISON = r"(?:not\s+)?(?:<=|>=|<>|!=|=|<|>|between|in\s*\()"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class RuleDeclaration(_Strict):
    """One segment selected by a condition."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    rule: str = Field(min_length=1)


class ValueDeclaration(_Strict):
    """The words for one value of a column whose values are segments."""

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)


class ColumnDeclaration(_Strict):
    """A column each value of which is a segment by itself."""

    column: str = Field(alias="from", min_length=1)
    prefix: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1)
    values: dict[str, ValueDeclaration] = Field(default_factory=dict)


class Declaration(_Strict):
    """The whole of segments.yml."""

    rules: tuple[RuleDeclaration, ...] = ()
    columns: tuple[ColumnDeclaration, ...] = ()


@dataclass(frozen=True)
class Segment:
    """One segment ready to be evaluated; the fields are those of segments.dim_segments."""

    segment_id: str
    name: str
    description: str
    kind: str
    rule: str


class SegmentsFileError(ValueError):
    """Everything that is wrong with segments.yml, in `problems`, one message each."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        super().__init__("\n".join([f"{count} in the segment declarations:", *problems]))


def load(path: Path, profile_schema: pl.Schema) -> Declaration:
    """Read and check the declarations against the columns that rules may use.

    Nothing is evaluated here: a file that loads will run. Raises SegmentsFileError with all
    problems at once.
    """
    problems: list[str] = []
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        declaration = Declaration.model_validate(content)
    except (OSError, UnicodeDecodeError) as error:
        raise SegmentsFileError([f"{path}: cannot be read: {error}"]) from error
    except yaml.YAMLError as error:
        raise SegmentsFileError([f"{path}: is not valid YAML: {error}"]) from error
    except ValidationError as error:
        problems += [_describe(path, content, entry) for entry in error.errors()]
        declaration = _readable_part(content)
    problems += _check_ids(path, declaration)
    for rule in declaration.rules:
        where = f"{path}: segment '{rule.id}': rule `{rule.rule}`: "
        problems += [where + what for what in check_rule(rule.rule, profile_schema)]
    for column in declaration.columns:
        where = f"{path}: column segments '{column.prefix}': "
        if column.column not in profile_schema:
            problems.append(where + _unknown_column(column.column, profile_schema))
        elif profile_schema[column.column] != pl.String:
            problems.append(
                f"{where}column '{column.column}' holds {profile_schema[column.column]}, not text; "
                "only a text column can name segments, use a rule instead"
            )
    if problems:
        raise SegmentsFileError(problems)
    return declaration


def check_rule(rule: str, profile_schema: pl.Schema) -> list[str]:
    """Say what is wrong with one rule, and what to do; an empty list when it can run."""
    problems = list(_check_words(rule, profile_schema))
    if problems:
        return problems
    try:
        expression = pl.sql_expr(rule)
        # An empty frame is enough for polars to refuse text against a number.
        result = pl.DataFrame(schema=profile_schema).select(expression.alias("member"))
    except pl.exceptions.PolarsError as error:
        return [f"polars cannot run it: {str(error).splitlines()[0]}; mend the rule"]
    if not expression.meta.root_names():
        return ["names no column, so it says nothing about a customer; compare a column"]
    if result.schema["member"] != pl.Boolean:
        return [
            f"gives {result.schema['member']}, not true or false; "
            "compare it with something, such as `>= 1`"
        ]
    return []


def expand(declaration: Declaration, profile: pl.DataFrame) -> list[Segment]:
    """Turn the declarations into segments in display order, rules first.

    A column's declared values come first and exist also when nobody has them today; other values
    found in the profile follow in alphabetical order.
    """
    segments = [
        Segment(rule.id, rule.name, rule.description, _kind(rule.rule), rule.rule)
        for rule in declaration.rules
    ]
    for column in declaration.columns:
        known = {_slug(value): words for value, words in column.values.items()}
        spelling = {_slug(value): value for value in column.values}
        found = profile[column.column].drop_nulls().unique().sort().to_list()
        spelling.update({_slug(value): value for value in found})
        undeclared = sorted(slug for slug in spelling if slug not in known)
        for slug in [*known, *undeclared]:
            name = known[slug].name if slug in known else _readable(spelling[slug])
            description = known[slug].description if slug in known else column.description
            value = spelling[slug].replace("'", "''")
            rule = f"{column.column} = '{value}'"
            kind = "rfm" if column.column == _RFM_COLUMN else _kind(rule)
            segments.append(Segment(f"{column.prefix}_{slug}", name, description, kind, rule))
    twice = [key for key, times in Counter(s.segment_id for s in segments).items() if times > 1]
    if twice:
        raise SegmentsFileError(
            [f"segment id '{key}' is both declared and the value of a column" for key in twice]
        )
    return segments


def dim_segments(segments: list[Segment]) -> pl.DataFrame:
    """One row per segment: segments.dim_segments."""
    return pl.DataFrame(
        [
            (s.segment_id, s.name, s.description, s.kind, s.rule, order)
            for order, s in enumerate(segments, start=1)
        ],
        schema={
            "segment_id": pl.String,
            "segment_name": pl.String,
            "description": pl.String,
            "kind": pl.String,
            "rule": pl.String,
            "display_order": pl.Int32,
        },
        orient="row",
    )


def _check_words(rule: str, schema: pl.Schema) -> Iterator[str]:
    tokens = [(m.lastgroup, m.group()) for m in _TOKEN.finditer(rule) if m.lastgroup]
    following = [*tokens[1:], (None, "")]
    for (kind, text), (_, after) in zip(tokens, following, strict=True):
        if kind == "word" and text.lower() not in _KEYWORDS:
            if after == "(":
                yield f"'{text}(' is a function; a rule compares columns only, compute it in dbt"
            elif text not in schema:
                yield _unknown_column(text, schema)
            elif schema[text].is_temporal() and _compared_with_number(text, rule):
                yield f"'{text}' is a date compared with a number; write `date '2017-12-31'`"
        elif kind == "word" and after == "(" and text.lower() not in _TAKES_BRACKET:
            yield f"'{text}(' is not allowed in a rule; compute it in dbt and compare the column"
        elif text in ("/", "%"):
            yield (
                f"'{text}' is not allowed, since dividing by zero has no answer; "
                "multiply instead: `a < 0.5 * b`"
            )
        elif kind in ("refused", "other"):
            yield f"'{text}' is not allowed in a rule; use columns, numbers, 'text' and comparisons"


def _compared_with_number(column: str, rule: str) -> bool:
    return bool(
        re.search(rf"\b{column}\b\s*{_COMPARISON}\s*-?\d", rule, re.IGNORECASE)
        or re.search(rf"\d\s*{_COMPARISON}\s*\b{column}\b", rule, re.IGNORECASE)
    )


def _unknown_column(name: str, schema: pl.Schema) -> str:
    close = difflib.get_close_matches(name, schema.names(), n=1)
    if close:
        return f"unknown column '{name}', did you mean {close[0]}?"
    return f"unknown column '{name}'; a rule may use: {', '.join(schema.names())}"


def _check_ids(path: Path, declaration: Declaration) -> list[str]:
    ids = Counter(rule.id for rule in declaration.rules)
    names = Counter(rule.name for rule in declaration.rules)
    prefixes = Counter(column.prefix for column in declaration.columns)
    return [
        f"{path}: {what} '{key}' is declared {times} times; give each its own"
        for what, counter in (("segment", ids), ("segment name", names), ("prefix", prefixes))
        for key, times in counter.items()
        if times > 1
    ]


def _describe(path: Path, content: Any, entry: Any) -> str:
    place = list(entry["loc"])
    what = f"{path}: " + ".".join(str(part) for part in place)
    if len(place) > 1 and isinstance(place[1], int):
        item = content[place[0]][place[1]]
        label = item.get("id") or item.get("prefix") if isinstance(item, dict) else None
        name = f"'{label}'" if label else f"number {place[1] + 1} of {place[0]}"
        what = f"{path}: segment {name}: " + ".".join(str(part) for part in place[2:])
    if entry["type"] == "extra_forbidden":
        return f"{what}: is not a key of this file; remove it or mend its spelling"
    if entry["type"] == "missing":
        return f"{what}: is missing; add it"
    return f"{what}: {entry['msg']}, got {entry['input']!r}"


def _readable_part(content: Any) -> Declaration:
    """Keep the stanzas that are well formed, so that their rules are checked in the same go."""
    parts: dict[str, list[Any]] = {"rules": [], "columns": []}
    models: dict[str, type[_Strict]] = {"rules": RuleDeclaration, "columns": ColumnDeclaration}
    for key, model in models.items():
        stanzas = content.get(key) if isinstance(content, dict) else None
        for stanza in stanzas if isinstance(stanzas, list) else []:
            try:
                parts[key].append(model.model_validate(stanza))
            except ValidationError:
                continue
    return Declaration.model_construct(**{key: tuple(value) for key, value in parts.items()})


def _kind(rule: str) -> str:
    columns = set(pl.sql_expr(rule).meta.root_names())
    if not columns & MODEL_COLUMNS:
        return "rule"
    return "model" if columns <= MODEL_COLUMNS else "hybrid"


def _slug(value: str) -> str:
    return re.sub(r"[^\w]+", "_", value.lower().replace("'", "").replace("’", "")).strip("_")


def _readable(value: str) -> str:
    words = value.replace("_", " ")
    return words[:1].upper() + words[1:]
