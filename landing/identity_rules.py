"""What `identity.yml` and the decision file may say, checked before any file is read.

Here belong the readable guards of identity stitching (identifier types in order of priority,
limits, blocked values, thresholds of matching, survivorship), the decisions that people took, and
the checking of both. Writing them as `raw.identity_*` belongs in `identity_tables`, what is made of
them in dbt. A mistake raises an `IdentityRulesError` that says where it is and what to do.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from landing.declarations import (
    AttributeType,
    DeclarationError,
    Declarations,
    IdentifierType,
    Name,
    Strict,
    UniqueKeys,
    what_is_wrong,
)
from landing.normalise import InvalidIdentifierError, normaliser_for

TYPES = get_args(IdentifierType)
DECISION_COLUMNS = ["pseudonym_a", "pseudonym_b", "decision", "decided_by", "decided_at", "note"]
_MOST_FAULTS_SHOWN = 20
_LONGEST_NOTE = 2_000
_NOBODY = ("", "null", "none")

Tier = Literal["naming", "joining", "weak"]
Rule = Literal["verified", "source_order", "most_recent", "most_frequent"]
SurvivingField = Literal[AttributeType, "email", "phone"]
BlockableType = Literal[IdentifierType, AttributeType]
Row = tuple[Any, ...]


class IdentityRulesError(DeclarationError):
    """`identity.yml` or the decision file cannot be carried out; never quotes a row of the file."""


def _is_pattern(text: str) -> str:
    if not text.strip("*"):
        raise ValueError("a pattern of '*' alone would block every identifier of the type")
    try:
        re.compile(glob_regex(text))
    except re.error:
        raise ValueError(f"'{text}' is not a pattern; use *, ? and [a-z]") from None
    return text


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_is_pattern)]
Limit = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]


class TypeRule(Strict):
    """How far one identifier type is trusted.

    A `naming` type makes people, a `joining` one joins them unless their profiles contradict, a
    `weak` one attaches where one person alone touches it. A limit of 0 is none, and 0 days never.
    """

    tier: Tier
    limit_per_person: Limit
    shared_above: Limit
    checks_profile: bool = False
    reassigned_after_days: Limit = 0

    @model_validator(mode="after")
    def _is_coherent(self) -> TypeRule:
        if self.tier != "joining":
            for setting in ("checks_profile", "reassigned_after_days"):
                if getattr(self, setting):
                    raise ValueError(f"`{setting}` belongs to a type of tier joining")
        return self


class BlockedList(Strict):
    """Identifiers that belong to nobody: exact values and patterns over the normal form."""

    reason: Name
    values: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()

    @model_validator(mode="after")
    def _blocks_something(self) -> BlockedList:
        if not (self.values or self.patterns):
            raise ValueError("neither `values` nor `patterns`: say what is blocked, or remove it")
        return self


class Matching(Strict):
    """Thresholds of probabilistic matching, and the most people that it may join into one."""

    join_above: Probability
    suggest_above: Probability
    largest_join: Annotated[int, Field(ge=2)]

    @model_validator(mode="after")
    def _is_coherent(self) -> Matching:
        if self.suggest_above > self.join_above:
            raise ValueError("`suggest_above` must not be higher than `join_above`")
        return self


class Survivorship(Strict):
    """Which of several values of a field survives: rules in order; `sources` in order of trust."""

    rules: Annotated[list[Rule], Field(min_length=1)]
    sources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_coherent(self) -> Survivorship:
        if ("source_order" in self.rules) != bool(self.sources):
            raise ValueError("`sources` and the rule `source_order` belong together")
        for label, said in (("rules", self.rules), ("sources", self.sources)):
            if len(set(said)) != len(said):
                raise ValueError(f"`{label}` names something twice")
        return self


class IdentityRules(Strict):
    """The whole of `identity.yml`."""

    identifier_types: dict[IdentifierType, TypeRule]
    blocked: dict[BlockableType, list[BlockedList]] = Field(default_factory=dict)
    matching: Matching
    survivorship: dict[SurvivingField, Survivorship]

    @model_validator(mode="after")
    def _is_complete(self) -> IdentityRules:
        missing = [kind for kind in TYPES if kind not in self.identifier_types]
        if missing:
            raise ValueError(
                f"identifier_types says nothing of {', '.join(missing)}: add each at its place in"
                " the order of priority"
            )
        unruled = [f for f in get_args(SurvivingField) if f not in self.survivorship]
        if unruled:
            raise ValueError(f"survivorship says nothing of {', '.join(unruled)}: add each")
        return self


@dataclass(frozen=True)
class Identity:
    """All that a landing writes about identity: the rules, and the decision file's rows in order.

    A decision is (line, pseudonym_a, pseudonym_b, decision, decided_by, decided_at, note).
    """

    rules: IdentityRules
    decisions: tuple[Row, ...] = ()
    rules_file: Path = Path("identity.yml")


# --- reading --------------------------------------------------------------------------


def read_identity(rules_file: Path, decisions_file: Path, declarations: Declarations) -> Identity:
    """Read and check both files. Raises `IdentityRulesError`."""
    rules = read_identity_rules(rules_file, declarations)
    return Identity(rules, tuple(read_decisions(decisions_file)), rules_file)


def read_identity_rules(path: Path, declarations: Declarations) -> IdentityRules:
    """Read and check an `identity.yml` against the declared sources.

    Raises:
        IdentityRulesError: the file is missing, is not YAML, or says something that cannot be
            carried out. Blocked values are judged later, by `refuse_unblockable`.

    """
    try:
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeys)
    except FileNotFoundError:
        raise IdentityRulesError(
            f"{path}: there is no such file; the guards of identity stitching are declared in it"
        ) from None
    except DeclarationError as error:
        raise IdentityRulesError(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise IdentityRulesError(f"{path}: not readable as YAML: {error}") from None
    try:
        rules = IdentityRules.model_validate(said)
    except ValidationError as error:
        faults = [f"{_where(e['loc'])}: {what_is_wrong(e)}" for e in error.errors()]
        raise IdentityRulesError(_listed(path, faults)) from None
    faults = list(_unknown_entities(rules, declarations))
    if faults:
        raise IdentityRulesError(_listed(path, faults))
    return rules


def refuse_unblockable(identity: Identity, declarations: Declarations) -> None:
    """Refuse blocked values that no normal form can be: they would silently guard nothing.

    Apart from reading, since it takes the normalisers' libraries, for which a run that has nothing
    to do should not wait. Raises `IdentityRulesError`.
    """
    faults = list(_unblockable(identity.rules, declarations))
    if faults:
        raise IdentityRulesError(_listed(identity.rules_file, faults))


def read_decisions(path: Path) -> list[Row]:
    """Read the file in which people approve or reject that two identifiers are one person.

    A missing file holds no decisions. Identifiers that the warehouse does not know are kept: dbt
    names them in `identity.refused_links`.

    Raises:
        IdentityRulesError: a line cannot be a decision; names file, line and column.

    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise IdentityRulesError(
            f"{path}: {error.strerror}; decisions are read from a file of this name"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise IdentityRulesError(f"{path}: line {line}: not UTF-8; save it as UTF-8") from None
    faults: list[str] = []
    rows: list[Row] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(DECISION_COLUMNS):
            wanted = ",".join(DECISION_COLUMNS)
            raise IdentityRulesError(f"{path}: line 1: the header must be {wanted}")
        line = reader.line_num + 1
        for fields in reader:
            if any(field.strip() for field in fields):
                if len(fields) != len(header):
                    faults.append(f"line {line}: {len(fields)} columns instead of {len(header)}")
                else:
                    said = dict(zip(header, map(str.strip, fields), strict=True))
                    wrong = [f"line {line}, column '{c}': {w}" for c, w in _misdecided(said)]
                    faults += wrong
                    if not wrong:
                        rows.append((line, *_decided(said)))
            line = reader.line_num + 1
    except csv.Error as error:
        faults.append(f"line {line}: {_not_csv(error)}")
    if faults:
        raise IdentityRulesError(_listed(path, faults))
    return rows


def _not_csv(error: csv.Error) -> str:
    if "field limit" in str(error):
        return (
            f"a field longer than {csv.field_size_limit():,} characters, where a note may have "
            f"{_LONGEST_NOTE:,}: shorten it, or close its quote"
        )
    return "not readable as CSV; is a quote left open?"


def _misdecided(said: dict[str, str]) -> Iterator[tuple[str, str]]:
    for column in ("pseudonym_a", "pseudonym_b"):
        if not re.fullmatch(r"[0-9a-fA-F]{64}", said[column]):
            yield column, "not a pseudonym of 64 hexadecimal digits"
    if said["pseudonym_a"].lower() == said["pseudonym_b"].lower():
        yield "pseudonym_b", "the same identifier as in pseudonym_a"
    if said["decision"].lower() not in ("approve", "reject"):
        yield "decision", "neither approve nor reject"
    if said["decided_by"].lower() in _NOBODY:
        yield "decided_by", "empty, or what a program writes for nobody; say who decided"
    if _moment(said["decided_at"]) is None:
        yield "decided_at", "not a time as 2026-03-31T09:30:00+09:00"
    if len(said["note"]) > _LONGEST_NOTE:
        yield "note", f"longer than {_LONGEST_NOTE:,} characters"
    for column in ("decided_by", "note"):
        if "\0" in said[column]:
            yield column, "holds a NUL character; remove it"


def _decided(said: dict[str, str]) -> Row:
    return (
        said["pseudonym_a"].lower(),
        said["pseudonym_b"].lower(),
        said["decision"].lower(),
        said["decided_by"],
        _moment(said["decided_at"]),
        said["note"] or None,
    )


def _moment(text: str) -> datetime | None:
    """A time as naive UTC; without an offset it is UTC already."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def _listed(path: Path, faults: list[str]) -> str:
    shown = [f"  {fault}" for fault in faults[:_MOST_FAULTS_SHOWN]]
    if len(faults) > len(shown):
        shown.append(f"  and {len(faults) - len(shown)} more")
    return "\n".join([f"{path}:", *shown])


def _where(location: tuple[int | str, ...]) -> str:
    """Turn pydantic's path into words; positions in a list count from 1."""
    parts = [f"no. {step + 1}" if isinstance(step, int) else str(step) for step in location]
    return ", ".join(part for part in parts if part != "[key]") or "the file"


def _unknown_entities(rules: IdentityRules, declarations: Declarations) -> Iterator[str]:
    known = {f"{entity.source}.{entity.name}" for entity in declarations.entities}
    for field, survivorship in rules.survivorship.items():
        for name in survivorship.sources:
            if name not in known:
                yield (
                    f"survivorship, {field}: '{name}' is no source.entity of sources.yml:"
                    " correct its spelling or remove it"
                )


def _unblockable(rules: IdentityRules, declarations: Declarations) -> Iterator[str]:
    for kind, lists in rules.blocked.items():
        for blocked in lists:
            where = f"blocked, {kind}, {blocked.reason}"
            code = " (with the country code, as +8210…)" if kind == "phone" else ""
            for value in blocked.values:
                try:
                    if normal_form(kind, value, declarations) is not None:
                        continue
                    why = "says nothing"
                except InvalidIdentifierError as error:
                    why = str(error)
                yield f"{where}: '{value}' is no {kind} to landing ({why}): correct{code} or remove"
            for pattern in blocked.patterns:
                if kind == "phone" and pattern[0] not in "+*?[":
                    yield f"{where}: '{pattern}' fits no phone: write it{code}"


def normal_form(kind: str, value: str, declarations: Declarations) -> str | None:
    """The normal form of a blocked value; phone numbers without a country code are local ones."""
    return normaliser_for(kind, declarations.business.region)(value)


def glob_regex(pattern: str) -> str:
    """A glob as a regular expression that Python and the engine (RE2) read alike."""
    parts = []
    for part in re.findall(r"\[!?\]?[^\]]*\]|.", pattern, re.DOTALL):
        if part == "*":
            parts.append(".*")
        elif part == "?":
            parts.append(".")
        elif len(part) > 1:
            negated = part.startswith("[!")
            inside = part[2 if negated else 1 : -1].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[{'^' if negated else ''}{inside}]")
        else:
            parts.append(re.escape(part))
    return "".join(parts)
