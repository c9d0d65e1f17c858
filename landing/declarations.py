"""What `sources.yml` may say: the declaration of every source, checked before any file is read.

Here belong the shape of a declaration, its defaults, its fingerprint (`declaration_version`) and
the raw columns that follow from it. What is done with a delivered file belongs in `readers`,
`checks` and `deliver`. A mistake in `sources.yml` raises a `DeclarationError` that names source,
entity and column and says what to do.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

LOADER_VERSION = 1
"""Raise it when landing would read the same file differently: all files are then read again."""

IdentifierType = Literal[
    "email", "phone", "login", "loyalty_card", "cookie", "device", "customer_id"
]

AttributeType = Literal[
    "name", "given_name", "surname", "birth_date", "address", "postcode", "city", "company"
]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OWN_SOURCES = ("run", "identity", "identity_matching")
_DECIMAL = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")
_SQL_TYPES = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "integer": "INTEGER",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}


class DeclarationError(ValueError):
    """`sources.yml` cannot be carried out; the message says where the mistake is and what to do."""


def _is_name(text: str) -> str:
    # "__" separates source and entity in table names, so neither may contain it.
    if not _NAME.fullmatch(text) or "__" in text or text.endswith("_"):
        raise ValueError(
            f"'{text}' must be snake_case: small letters, digits and single underscores"
        )
    return text


def _is_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"'{text}' is not a time zone; use a name like UTC, Asia/Seoul or America/New_York"
        ) from None
    return text


def _is_type(text: str) -> str:
    compact = text.replace(" ", "").lower()
    if compact in _SQL_TYPES:
        return compact
    match = _DECIMAL.fullmatch(compact)
    if match and int(match[2]) <= int(match[1]) <= 38:
        return compact
    raise ValueError(
        f"'{text}' is not a type; use {', '.join(_SQL_TYPES)} or decimal(precision,scale)"
    )


def _is_encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError:
        raise ValueError(
            f"'{text}' is not an encoding Python knows; e.g. utf-8, cp949, cp1252"
        ) from None


def _is_file_pattern(text: str) -> str:
    if "/" in text or "\\" in text or text.startswith("."):
        raise ValueError(
            f"'{text}' must be a pattern of file names inside the source's landing folder"
        )
    return text


Name = Annotated[str, AfterValidator(_is_name)]
Zone = Annotated[str, AfterValidator(_is_zone)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Region = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Bound = date | datetime | int | float | None


class Strict(BaseModel):
    """A declaration that may say only what is known, and is not changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Strict):
    """One column of a delivered file.

    An `identifier` column becomes `<name>_pseudonym` in the warehouse, and so does an `attribute`,
    which describes a person without naming one; a `personal` column does not reach it at all. The
    vault keeps the text of all three. `header` is the name in the file where it differs from
    `name`.
    """

    name: Name
    type: Annotated[str, AfterValidator(_is_type)] = "text"
    description: str = ""
    header: str | None = None
    required: bool = False
    identifier: IdentifierType | None = None
    attribute: AttributeType | None = None
    region: Region | None = None
    personal: bool = False
    min: Bound = None
    max: Bound = None
    accepted: list[str] | None = None
    formats: list[str] | None = None

    @model_validator(mode="after")
    def _is_coherent(self) -> Column:
        if self.identifier and self.personal:
            raise ValueError("an identifier is personal already: drop `personal`")
        if self.attribute and self.personal:
            raise ValueError("an attribute is personal already: drop `personal`")
        if self.attribute and self.identifier:
            raise ValueError(
                "`identifier` names a person and `attribute` describes one: keep the one that fits"
            )
        if self.region and self.identifier != "phone":
            raise ValueError("`region` belongs to a column with `identifier: phone`")
        is_day = self.attribute == "birth_date" or self.type in ("date", "timestamp")
        if self.formats and not (is_day and not self.identifier):
            raise ValueError("`formats` belongs to a date or timestamp column")
        if self.accepted and self.type != "text":
            raise ValueError("`accepted` belongs to a text column; use `min` and `max`")
        temporal = self.type in ("date", "timestamp")
        for side, bound in (("min", self.min), ("max", self.max)):
            if bound is None:
                continue
            if self.type in ("text", "boolean") or isinstance(bound, date) != temporal:
                raise ValueError(f"`{side}: {bound}` does not fit type {self.type}")
        return self

    @property
    def source_name(self) -> str:
        """The column's name in the delivered file."""
        return self.header or self.name

    @property
    def sql_type(self) -> str:
        """The DuckDB type of the column's values."""
        return _SQL_TYPES.get(self.type) or self.type.upper()

    @property
    def pseudonym_type(self) -> str | None:
        """The identifier type or attribute whose pseudonym stands in the warehouse, if any."""
        return self.identifier or self.attribute

    @property
    def is_sensitive(self) -> bool:
        """Whether the text of this column may be kept in the vault only."""
        return self.personal or self.pseudonym_type is not None


@dataclass(frozen=True)
class RawColumn:
    """One column of a raw table as DuckDB and dbt see it."""

    name: str
    sql_type: str
    description: str


class Entity(Strict):
    """One kind of record of a source: which files, how they are delivered, and their columns."""

    description: str = ""
    files: Annotated[str, AfterValidator(_is_file_pattern)]
    format: Literal["csv", "parquet", "json"]
    encoding: Annotated[str, AfterValidator(_is_encoding)] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    delivery: Literal["append", "upsert", "snapshot"]
    key: list[str] = []
    event_time: str | None = None
    version_by: str | None = None
    columns: Annotated[list[Column], Field(min_length=1)]

    _source: str = PrivateAttr(default="")
    _name: str = PrivateAttr(default="")
    _owner: Source | None = PrivateAttr(default=None)
    _business: Business | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _is_coherent(self) -> Entity:
        by_name: dict[str, Column] = {}
        headers: set[str] = set()
        for column in self.columns:
            if column.name in by_name or column.source_name in headers:
                raise ValueError(f"column '{column.name}' is declared twice")
            by_name[column.name] = column
            headers.add(column.source_name)
        outputs = [c.name for c in self.raw_columns]
        if len(set(outputs)) != len(outputs):
            raise ValueError("a column is named like the pseudonym of another: rename one")
        for label, names in (
            ("key", self.key),
            ("event_time", [self.event_time] if self.event_time else []),
            ("version_by", [self.version_by] if self.version_by else []),
        ):
            for name in names:
                if name not in by_name:
                    raise ValueError(f"`{label}` names '{name}', which is not a declared column")
                if by_name[name].personal:
                    raise ValueError(
                        f"`{label}` names '{name}', which is personal"
                        " and never reaches the warehouse"
                    )
                if by_name[name].attribute:
                    raise ValueError(
                        f"`{label}` names '{name}', which is an attribute: two people may share one"
                    )
        if len(set(self.key)) != len(self.key):
            raise ValueError("`key` names a column twice")
        if self.delivery == "upsert" and not self.key:
            raise ValueError(
                "`delivery: upsert` needs a `key` to know which row a newer one replaces"
            )
        if self.version_by and self.delivery != "upsert":
            raise ValueError("`version_by` belongs to `delivery: upsert`")
        if self.version_by and not by_name[self.version_by].required:
            raise ValueError(f"`version_by` column '{self.version_by}' must be `required: true`")
        if self.event_time and by_name[self.event_time].type not in ("date", "timestamp"):
            raise ValueError(
                f"`event_time` column '{self.event_time}' must be a date or a timestamp"
            )
        for label in (self.version_by, self.event_time):
            if label and by_name[label].identifier:
                raise ValueError(f"'{label}' is an identifier and has no order in the warehouse")
        if self.format == "parquet" and self.encoding != "utf-8":
            raise ValueError("parquet has no `encoding`: drop it")
        return self

    @property
    def source(self) -> str:
        """Name of the source the entity belongs to."""
        return self._source

    @property
    def name(self) -> str:
        """Name of the entity inside its source."""
        return self._name

    @property
    def zone(self) -> str:
        """Zone of timestamps that carry none."""
        return self._owner.zone

    @property
    def table(self) -> str:
        """Name of the entity's table in schema `raw`, in the warehouse and in the vault."""
        return f"{self._source}__{self._name}"

    @property
    def identifiers(self) -> list[Column]:
        """Columns that identify a person."""
        return [c for c in self.columns if c.identifier]

    @property
    def pseudonymised(self) -> list[Column]:
        """Columns of which the warehouse holds a pseudonym: identifiers and attributes."""
        return [c for c in self.columns if c.pseudonym_type]

    @property
    def is_sensitive(self) -> bool:
        """Whether any column is personal or an identifier; refused rows then go to the vault."""
        return any(c.is_sensitive for c in self.columns)

    @property
    def keeps_row_key(self) -> bool:
        """Whether rows are told apart by their whole content, as in an append without a key."""
        return self.delivery == "append" and not self.key

    def is_required(self, column: Column) -> bool:
        """Whether a row without a value in this column is refused."""
        return column.required or column.name in self.key

    def region(self, column: Column) -> str:
        """Region of phone numbers without a country code."""
        return column.region or self._business.region

    def scope(self, column: Column) -> str:
        """Namespace of a pseudonym: one per source for customer_id, shared for all other types."""
        if column.identifier == "customer_id":
            return f"customer_id/{self._source}"
        return str(column.pseudonym_type)

    @property
    def raw_columns(self) -> list[RawColumn]:
        """Columns of the raw table, in order."""
        columns = []
        for c in self.columns:
            if c.pseudonym_type:
                text = f"Keyed pseudonym of {c.name} ({c.pseudonym_type}). {c.description}".strip()
                columns.append(RawColumn(f"{c.name}_pseudonym", "VARCHAR", text))
            elif not c.personal:
                columns.append(RawColumn(c.name, c.sql_type, c.description))
        columns.append(
            RawColumn("_file_id", "VARCHAR", "SHA-256 of the content of the file the row came in.")
        )
        columns.append(
            RawColumn("_row_number", "BIGINT", "Ordinal of the record in its file, from 1.")
        )
        if self.keeps_row_key:
            text = "Keyed hash of the row's content and its occurrence: overlaps meet here."
            columns.append(RawColumn("_row_key", "UUID", text))
        return columns

    def declaration_version(self, key_id: str, normaliser_version: int) -> str:
        """Fingerprint (16 hex digits) of all that decides which rows a file gives.

        Descriptions are left out: a better sentence is no reason to read a year of files again.
        The key and the normalisers count only where the entity has something to pseudonymise.
        """
        said = self.model_dump(
            mode="json", exclude={"description": True, "columns": {"__all__": {"description"}}}
        )
        for column in said["columns"]:
            if column["attribute"] is None:
                del column["attribute"]  # tables declared before there were any stay as they are
        said["loader"] = LOADER_VERSION
        if any(c.type == "timestamp" for c in self.columns):
            said["zone"] = self.zone
        if self.pseudonymised or self.keeps_row_key:
            said["key_id"] = key_id
        if self.pseudonymised:
            said["normalisers"] = normaliser_version
            said["regions"] = [self.region(c) for c in self.identifiers]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


class Source(Strict):
    """One system that delivers files: its zone, currency and entities."""

    description: str = ""
    zone: Zone
    currency: Currency
    example_data: Name | None = None
    owner: str = "data-platform"
    entities: Annotated[dict[Name, Entity], Field(min_length=1)]

    @model_validator(mode="after")
    def _patterns_differ(self) -> Source:
        patterns = [entity.files for entity in self.entities.values()]
        if len(set(patterns)) != len(patterns):
            raise ValueError("two entities declare the same `files` pattern")
        return self


class Business(Strict):
    """What holds for the whole business: zone of dates, currency, region of phone numbers."""

    zone: Zone
    currency: Currency
    region: Region = "US"


class Declarations(Strict):
    """The whole of `sources.yml`."""

    business: Business
    sources: dict[Name, Source]

    @model_validator(mode="after")
    def _know_each_other(self) -> Declarations:
        for source_name, source in self.sources.items():
            if source_name in _OWN_SOURCES:
                raise ValueError(
                    f"source '{source_name}': dbt knows tables of our own by this name; choose"
                    " another"
                )
            for entity_name, entity in source.entities.items():
                entity._source, entity._name = source_name, entity_name
                entity._owner, entity._business = source, self.business
        return self

    @property
    def entities(self) -> list[Entity]:
        """Every declared entity, in declared order."""
        return [e for source in self.sources.values() for e in source.entities.values()]

    def selected_entities(self, selected: list[str] | tuple[str, ...]) -> list[Entity]:
        """Entities of the named sources; raises `DeclarationError` for an undeclared source."""
        unknown = sorted(set(selected) - set(self.sources))
        if unknown:
            raise DeclarationError(
                f"source '{unknown[0]}' is not declared; declared are: {', '.join(self.sources)}"
            )
        return [e for e in self.entities if e.source in selected]


class UniqueKeys(yaml.CSafeLoader):
    """A loader that refuses a key given twice, of which YAML would silently keep the last."""


def _mapping(loader: UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for position, key in enumerate(keys):
        if key in keys[:position]:
            line = node.value[position][0].start_mark.line + 1
            raise DeclarationError(f"line {line}: '{key}' is declared twice: rename or remove one")
    return loader.construct_mapping(node, deep=True)


UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_declarations(path: Path) -> Declarations:
    """Read and check a `sources.yml`.

    Raises:
        DeclarationError: the file is missing, is not YAML, or declares something that cannot be
            carried out.

    """
    try:
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeys)
    except FileNotFoundError:
        raise DeclarationError(
            f"{path}: there is no such file; sources are declared in it"
        ) from None
    except DeclarationError as error:
        raise DeclarationError(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path}: not readable as YAML: {error}") from None
    try:
        return Declarations.model_validate(said)
    except ValidationError as error:
        faults = "\n".join(
            f"  {_where(e['loc'], said)}: {what_is_wrong(e)}" for e in error.errors()
        )
        raise DeclarationError(f"{path}:\n{faults}") from None


def what_is_wrong(error: dict[str, Any]) -> str:
    """Put one of pydantic's errors into words that say what to do."""
    if error["type"] == "extra_forbidden":
        return f"'{error['loc'][-1]}' is not a known setting: correct its spelling or remove it"
    if error["type"] == "missing":
        return f"'{error['loc'][-1]}' is missing: add it"
    return error["msg"].removeprefix("Value error, ")


def _where(location: tuple[int | str, ...], said: Any) -> str:
    """Turn pydantic's path into words: source, entity, column by name, setting."""
    words = {1: "source", 3: "entity"} if location[:1] == ("sources",) else {}
    parts, here = [], said
    for depth, step in enumerate(location):
        here = here[step] if _holds(here, step) else None
        if depth > 0 and location[depth - 1] == "columns" and isinstance(step, int):
            name = here.get("name") if isinstance(here, dict) else None
            parts.append(f"column '{name or step + 1}'")
        elif depth in words:
            parts.append(f"{words[depth]} '{step}'")
        elif step not in ("sources", "entities", "columns"):
            parts.append(str(step))
    return ", ".join(parts) or "the file"


def _holds(here: Any, step: int | str) -> bool:
    if isinstance(here, dict):
        return step in here
    return isinstance(here, list) and isinstance(step, int) and step < len(here)
