"""Which records that share no key are one person: Splink in DuckDB, trained once, then frozen.

Here belong preparing the records, training, scoring and grouping, for any record set whose fields
are declared by kind. What a kind means is in `ml.matching_fields`, which pairs are compared in
`ml.matching_blocking`, the arithmetic of learning in `ml.matching_estimation`, the reading of the
vault in `ml.matching_people`. This is the one module of `ml` that works inside the engine: the
records are compared where they lie.

All tables are made in an in-memory database that is attached for the time of the call, so nothing
personal lasts. A model is two parts: parameters (`to_json`: fields, blocking rules, m, u,
thresholds; no value of any record) and term frequencies (a frame keyed by what the caller gave as
`<field>_key`, or else by the value itself: then it is personal and stays where the records are).
Scoring estimates nothing again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import duckdb
import numpy as np
import polars as pl

from ml.errors import ModelRefused
from ml.matching_blocking import Connection, chosen_rules, make_pairs
from ml.matching_estimation import FieldFacts, Patterns, estimate
from ml.matching_families import add_relatives, learned_namesakes, namesakes_sql
from ml.matching_fields import (
    JOINING,
    KINDS,
    PERSONAL,
    SHARED_AT_HOME,
    WAYS_TO_WRITE,
    Field,
    Level,
    levels,
    not_comparable,
    prepared_columns,
)

log = logging.getLogger(__name__)

FORMAT = 3
# Records of one person agree more often than not in what is a person's own. A model that says
# otherwise has learned something else, such as namesakes.
MOST_DISAGREEMENT = 0.5
LEAST_PROBABILITY = 0.001  # below it a pair adds nothing to what is expected
# Share of the pairs of one home in which a child bears a parent's name, whatever the name.
SAME_NAME_GIVEN = 0.0005
PAIRS_AT_ONCE = 1_000_000
_DATABASE = "dsegment_matching"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")

PAIR_SCHEMA = {
    "id_a": pl.String,
    "id_b": pl.String,
    "match_probability": pl.Float64,
    "match_weight": pl.Float64,
    "evidence": pl.String,
}


class MatchingError(ModelRefused):
    """The records or the declaration do not allow matching; the message never carries a value."""


@dataclass(frozen=True)
class MatchingSettings:
    """What may be tuned; recorded with the model."""

    seed: int = 20170101
    least_records: int = 50
    pairs_per_record: float = 60.0  # of all blocking rules together: what keeps the work linear
    largest_block: int = 500
    most_rules: int = 64
    random_pairs: int = 500_000
    join_precision: float = 0.98
    suggest_probability: float = 0.5


@dataclass(frozen=True)
class FieldParameters:
    """One field's levels with their probabilities in one person, one home, and by chance."""

    name: str
    kind: str
    levels: tuple[str, ...]
    m: tuple[float, ...]
    u: tuple[float, ...]
    home: tuple[float, ...] | None


@dataclass(frozen=True)
class MatchingModel:
    """Frozen parameters and term frequencies; make it with `train` or `from_json`."""

    fields: tuple[FieldParameters, ...]
    left_out: Mapping[str, str]  # field → why it is not compared
    rules: tuple[tuple[str, ...], ...]
    match_share: float
    home_share: float
    namesakes: Mapping[str, float]  # see `ml.matching_families`
    thresholds: Mapping[str, float]
    trained_on: Mapping[str, Any]
    settings: MatchingSettings
    term_frequencies: pl.DataFrame = field(repr=False, compare=False)

    def predict(
        self,
        connection: Connection,
        records_table: str,
        threshold: float | None = None,
        *,
        id_column: str = "record_id",
        group_column: str | None = None,
    ) -> pl.DataFrame:
        """Return one row per pair of records with at least this probability of being one person.

        Columns as in `PAIR_SCHEMA`, id_a < id_b, most probable first. `evidence` names the fields
        that agree and how, without values. Pairs of one `group_column` value are left out. The
        frame is empty when nothing can be compared.

        Raises:
            MatchingError: a column is absent, or ids are empty or repeated.

        """
        threshold = self.thresholds["suggest"] if threshold is None else threshold
        with _workspace(connection):
            _prepare(connection, records_table, self._declared, id_column, group_column)
            add_relatives(connection, self._declared, self.settings)
            make_pairs(connection, self._declared, self.rules, self.settings, across_only=True)
            return self._scored(connection, threshold)

    def to_json(self) -> str:
        """Return the parameters as text to review and keep; no value of any record is in it."""
        content = {
            "format": FORMAT,
            "match_share": self.match_share,
            "home_share": self.home_share,
            "namesakes": dict(self.namesakes),
            "thresholds": dict(self.thresholds),
            "fields": [_as_levels(parameters) for parameters in self.fields],
            "left_out": dict(self.left_out),
            "rules": [list(rule) for rule in self.rules],
            "trained_on": dict(self.trained_on),
            "settings": asdict(self.settings),
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, term_frequencies: pl.DataFrame | None = None) -> MatchingModel:
        """Read parameters kept by `to_json`; without term frequencies every value counts alike.

        Raises:
            MatchingError: the text is not such a file.

        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise MatchingError(
                    f"matching parameters of format {content['format']}: train again"
                )
            parameters = tuple(_from_levels(entry) for entry in content["fields"])
            _refuse_other_levels(parameters)
            return cls(
                fields=parameters,
                left_out=content["left_out"],
                rules=tuple(tuple(rule) for rule in content["rules"]),
                match_share=content["match_share"],
                home_share=content["home_share"],
                namesakes=content["namesakes"],
                thresholds=content["thresholds"],
                trained_on=content["trained_on"],
                settings=MatchingSettings(**content["settings"]),
                term_frequencies=_no_frequencies()
                if term_frequencies is None
                else term_frequencies,
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise MatchingError(
                f"not a file of matching parameters: {type(error).__name__}"
            ) from error

    @property
    def _declared(self) -> list[Field]:
        return [Field(parameters.name, parameters.kind) for parameters in self.fields]

    def _scored(self, connection: Connection, threshold: float) -> pl.DataFrame:
        found = [
            connection.sql(
                f"""
                WITH weighed AS (
                    SELECT
                        l.record_id AS id_a, r.record_id AS id_b,
                        match_weight - {self._home_correction()} AS weight,
                        {self._evidence()} AS evidence
                    FROM {scored}
                    JOIN dsegment_records AS l ON l.unique_id = unique_id_l
                    JOIN dsegment_records AS r ON r.unique_id = unique_id_r
                    {self._family_frequencies()}
                )
                SELECT
                    id_a, id_b, 1 / (1 + pow(2, -weight)) AS match_probability,
                    weight AS match_weight, evidence
                FROM weighed
                WHERE 1 / (1 + pow(2, -weight)) >= {threshold!r}
                """
            ).pl()
            for scored, _ in _with_splink(
                connection, self.fields, self.match_share, threshold, self.term_frequencies
            )
        ]
        return pl.concat([pl.DataFrame(schema=PAIR_SCHEMA), *found]).sort(
            "match_weight", "id_a", "id_b", descending=[True, False, False]
        )

    def _home_correction(self) -> str:
        """SQL of what the third class takes from a pair's weight (see `ml.matching_estimation`)."""
        if self.home_share <= 0:
            return "0"
        terms = []
        for f in self.fields:
            cases = []
            for i, (u, home) in enumerate(zip(f.u, f.home, strict=True)):
                weight = repr(math.log2(home / u))
                # A name in another order is the same name, though the engine knows no rarity of it.
                same = i == 0 or (f.kind == "name" and i < WAYS_TO_WRITE["name"])
                if same and home > u:
                    # A rare name is rare by chance, but its rarity says nothing against a family.
                    shared = (home - u) / (1 - u)
                    by_chance = repr((home - shared) / u)
                    if f.kind in PERSONAL:
                        # A person's own: people of one home who share it mostly do so by chance.
                        # Which of the namesakes learned were named so is not known: asking whether
                        # two are one costs less than joining them, so chance takes all.
                        shared = min(shared, SAME_NAME_GIVEN)
                        by_chance = repr(home / u)
                    rarity = f"pow(2, mw_tf_adj_{f.name})" if i == 0 else "1"
                    if f.kind == "name":
                        # They share the family's word, so the chance is that of the given name.
                        in_family = f"coalesce(greatest({f.name}_l.family, {f.name}_r.family), 1)"
                        by_chance = f"{by_chance} * {in_family} * {rarity}"
                    weight = f"log2({shared / u!r} * {rarity} + {by_chance})"
                    if f.kind == "name":
                        weight += f" + log2({namesakes_sql(self.namesakes)})"
                cases.append(f"WHEN {len(f.u) - 1 - i} THEN {weight}")
            terms.append(f"CASE gamma_{f.name} {' '.join(cases)} ELSE 0 END")
        prior = math.log2(self.home_share / (1 - self.match_share - self.home_share))
        return f"log2(1 + pow(2, {prior!r} + {' + '.join(terms)}))"

    def _family_frequencies(self) -> str:
        """SQL that joins how frequent a name is among those who bear the family's word of it."""
        return " ".join(
            f"LEFT JOIN dsegment_frequency_{f.name} AS {f.name}_{side}"
            f" ON {f.name}_{side}.{f.name}_key = {side}.{f.name}_key"
            for f in self.fields
            if f.kind == "name"
            for side in "lr"
        )

    def _evidence(self) -> str:
        said = []
        for f in self.fields:
            last = len(f.levels) - 1
            cases = " ".join(
                f"WHEN {last - i} THEN '{f.name} {_quoted(level)}'"
                for i, level in enumerate(f.levels[:-1])
            )
            said.append(f"CASE gamma_{f.name} {cases} END")
        return f"concat_ws('; ', {', '.join(said)})"


def train(
    connection: Connection,
    records_table: str,
    fields: Mapping[str, str],
    *,
    id_column: str = "record_id",
    group_column: str | None = None,
    settings: MatchingSettings | None = None,
) -> MatchingModel:
    """Learn from the records of a table what agreement is worth, and where to join.

    `fields` maps columns to kinds (`ml.matching_fields.KINDS`). A column `<field>_key`, where there
    is one, is what term frequencies are kept by. Records of one `group_column` value are known to
    be one person: they help to learn m, and the share of matches is that among all other pairs.

    Raises:
        MatchingError: a wrong declaration, too few records, or nothing that tells records apart.

    """
    settings = settings or MatchingSettings()
    declared = _checked_fields(fields)
    with _workspace(connection):
        _prepare(connection, records_table, declared, id_column, group_column)
        (records,) = connection.execute("SELECT count(*) FROM dsegment_records").fetchall()[0]
        if records < settings.least_records:
            raise MatchingError(
                f"not enough records to train: {records}, {settings.least_records} needed"
            )
        used, left_out = _usable(connection, declared, records)
        for name, reason in left_out.items():
            log.warning("matching does not compare %s: %s", name, reason)
        add_relatives(connection, used, settings)
        rules = chosen_rules(connection, used, records, settings)
        make_pairs(connection, used, rules, settings)
        return _learned(connection, used, left_out, rules, records, settings)


def join_records(
    ids: Sequence[str], pairs: pl.DataFrame, threshold: float, *, largest: int | None = None
) -> pl.DataFrame:
    """Return record_id and cluster_id: records tied, directly or not, by pairs of this probability.

    With `largest`, the most probable pairs tie first, and a tie that would make a cluster of more
    records is left out. `cluster_id` is the least id of the cluster, and the order of the pairs
    does not matter.
    """
    root = {record_id: record_id for record_id in ids}
    size = dict.fromkeys(root, 1)

    def of(record_id: str) -> str:
        while root[record_id] != record_id:
            root[record_id] = record_id = root[root[record_id]]
        return record_id

    ties = pairs.filter(pl.col("match_probability") >= threshold).sort(
        "match_weight", "id_a", "id_b", descending=[True, False, False]
    )
    for id_a, id_b in ties.select("id_a", "id_b").iter_rows():
        least, other = sorted((of(id_a), of(id_b)))
        if least == other or (largest and size[least] + size[other] > largest):
            continue
        root[other] = least
        size[least] += size[other]
    return pl.DataFrame(
        [(record_id, of(record_id)) for record_id in sorted(root)],
        schema={"record_id": pl.String, "cluster_id": pl.String},
        orient="row",
    )


@contextlib.contextmanager
def _workspace(connection: Connection) -> Iterator[None]:
    """Work in a database in memory that is gone afterwards, whatever happens."""
    ((database, schema),) = connection.execute(
        "SELECT current_database(), current_schema()"
    ).fetchall()
    connection.execute(f"ATTACH ':memory:' AS {_DATABASE}")
    try:
        # Names of the caller's tables still resolve: the prepared tables are made by full name.
        yield
    finally:
        connection.execute(f'USE "{database}"."{schema}"')
        connection.execute(f"DETACH {_DATABASE}")


def _prepare(
    connection: Connection,
    table: str,
    fields: Sequence[Field],
    id_column: str,
    group_column: str | None,
) -> None:
    """Make the table of records, with each field in one spelling, and go to its database.

    The names of all tables begin with `dsegment_`: a frame that the caller has registered
    would come before a table of the same name.
    """
    try:
        found = [c[0].lower() for c in connection.sql(f"SELECT * FROM {table} LIMIT 0").description]
    except duckdb.CatalogException:
        raise MatchingError(f"there is no table {table}") from None
    wanted = [id_column, *(f.name for f in fields), *([group_column] if group_column else [])]
    absent = [name for name in wanted if name.lower() not in found]
    if absent:
        raise MatchingError(f"{table} lacks the column(s) {', '.join(absent)}")
    keys = {f.name: f"{f.name}_key" for f in fields if f"{f.name}_key" in found}
    columns = ",\n".join(
        expression
        for f in fields
        for expression in prepared_columns(f, f'"{f.name}"', keys.get(f.name))
    )
    group = f'CAST("{group_column}" AS VARCHAR)' if group_column else "CAST(NULL AS VARCHAR)"
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {_DATABASE}.main.dsegment_records AS
        SELECT
            row_number() OVER (ORDER BY CAST("{id_column}" AS VARCHAR)) AS unique_id,
            CAST("{id_column}" AS VARCHAR) AS record_id,
            {group} AS known_group,
            {columns}
        FROM {table}
        """
    )
    connection.execute(f"USE {_DATABASE}.main")
    ((empty, repeated),) = connection.execute(
        "SELECT count(*) FILTER (record_id IS NULL), count(record_id) - count(DISTINCT record_id)"
        " FROM dsegment_records"
    ).fetchall()
    if empty or repeated:
        raise MatchingError(f"{table}: {empty} record(s) without an id, {repeated} repeated id(s)")


def _usable(
    connection: Connection, fields: Sequence[Field], records: int
) -> tuple[list[Field], dict[str, str]]:
    used, left_out = [], {}
    for f in fields:
        ((filled, distinct),) = connection.execute(
            f"SELECT count({f.name}_text), count(DISTINCT {f.name}_text) FROM dsegment_records"
        ).fetchall()
        if filled < max(2, records // 1000):
            left_out[f.name] = f"filled in {filled} of {records} records"
        elif distinct < 2:
            left_out[f.name] = "the same in all records"
        else:
            used.append(f)
    if not used:
        raise MatchingError("no field tells records apart: each is empty or the same in all")
    return used, left_out


def _learned(
    connection: Connection,
    fields: Sequence[Field],
    left_out: Mapping[str, str],
    rules: tuple[tuple[str, ...], ...],
    records: int,
    settings: MatchingSettings,
) -> MatchingModel:
    spec = {f.name: levels(f, fields) for f in fields}
    if connection.execute("SELECT count(*) FROM dsegment_pairs").fetchall()[0][0] == 0:
        raise MatchingError("no two records share a blocking key: there is nothing to learn from")
    all_pairs = records * (records - 1) / 2
    facts = _facts(connection, fields, spec, records, settings)
    candidates = _patterns(connection, fields, spec, "dsegment_pairs")
    kinds = {f.kind for f in fields}
    with_homes = bool(kinds & SHARED_AT_HOME) and bool(kinds & PERSONAL)
    found = estimate(candidates, facts, all_pairs, with_homes=with_homes)
    implausible = [
        f.name
        for f, m in zip(fields, found.m, strict=True)
        if f.kind in PERSONAL and m[-1] > MOST_DISAGREEMENT
    ]
    if implausible:
        log.warning(
            "what was learned are not people: %s mostly differ in it; m stays at its defaults",
            " and ".join(implausible),
        )
        found = estimate(candidates, facts, all_pairs, with_homes=with_homes, learn_m=False)
    parameters = tuple(
        FieldParameters(
            name=f.name,
            kind=f.kind,
            levels=tuple(level.name for level in spec[f.name]),
            m=tuple(map(float, found.m[i])),
            u=tuple(map(float, found.u[i])),
            home=tuple(map(float, found.home[i])) if with_homes else None,
        )
        for i, f in enumerate(fields)
    )
    model = MatchingModel(
        fields=parameters,
        left_out=dict(left_out),
        rules=rules,
        match_share=found.match_share,
        home_share=found.home_share,
        namesakes=learned_namesakes(connection),
        thresholds={"join": 1.0, "suggest": settings.suggest_probability},
        trained_on={
            "records": records,
            "pairs": int(candidates.pairs.sum()),
            "known_pairs": int(candidates.pairs[candidates.known].sum()),
            "iterations": found.iterations,
            "is_m_learned": not implausible,
        },
        settings=settings,
        term_frequencies=_term_frequencies(connection, fields, candidates, found.probability),
    )
    # Made anew and not deleted from: the rows are counted through for their shares.
    connection.execute(
        "CREATE OR REPLACE TABLE dsegment_pairs AS FROM dsegment_pairs WHERE NOT is_known"
    )
    scores = model._scored(connection, LEAST_PROBABILITY)["match_probability"].to_numpy()
    return dataclasses.replace(model, **_calibrated(model, scores))


def _calibrated(model: MatchingModel, scores: np.ndarray) -> dict[str, Any]:
    """Set where to join: the least score from which on few enough of the joins are wrong.

    The model's own probabilities say how many that are, so no labels are needed.
    """
    scores = np.sort(scores)[::-1]
    precision = np.cumsum(scores) / np.arange(1, len(scores) + 1)
    settings = model.settings
    good = (precision >= settings.join_precision) & (scores >= settings.suggest_probability)
    joined = int(np.flatnonzero(good)[-1]) + 1 if good.any() else 0
    expected = float(scores.sum())
    return {
        "thresholds": {
            "join": float(scores[joined - 1]) if joined else settings.join_precision,
            "suggest": settings.suggest_probability,
        },
        "trained_on": {
            **model.trained_on,
            "expected_matches": round(expected, 1),
            "expected_precision": round(float(precision[joined - 1]), 4) if joined else None,
            "expected_recall": round(float(scores[:joined].sum()) / expected, 4)
            if expected
            else None,
        },
    }


def _patterns(
    connection: Connection,
    fields: Sequence[Field],
    spec: Mapping[str, Sequence[Level]],
    pairs: str,
) -> Patterns:
    """Count the vectors of levels of a table of pairs; they stay in `dsegment_seen`."""
    level = ", ".join(
        f"CAST(-round(mw_{f.name}) AS TINYINT) - 1 AS level_{i}" for i, f in enumerate(fields)
    )
    connection.execute("DROP TABLE IF EXISTS dsegment_seen")
    for scored, some in _with_splink(connection, _numbered(fields, spec), 0.5, None, None, pairs):
        seen = f"""
            SELECT unique_id_l, unique_id_r, is_known, {level}
            FROM {scored} JOIN {some} ON join_key_l = unique_id_l AND join_key_r = unique_id_r
            """
        connection.execute(f"CREATE TABLE IF NOT EXISTS dsegment_seen AS {seen} LIMIT 0")
        connection.execute(f"INSERT INTO dsegment_seen {seen}")
    names = [f"level_{i}" for i, _ in enumerate(fields)]
    counted = connection.sql(
        f"SELECT {', '.join(names)}, is_known, count(*) AS pairs FROM dsegment_seen"
        " GROUP BY ALL ORDER BY ALL"
    ).pl()
    return Patterns(
        level=counted.select(names).to_numpy(),
        pairs=counted["pairs"].to_numpy().astype(float),
        known=counted["is_known"].to_numpy(),
    )


def _facts(
    connection: Connection,
    fields: Sequence[Field],
    spec: Mapping[str, Sequence[Level]],
    records: int,
    settings: MatchingSettings,
) -> list[FieldFacts]:
    """Return what is known of each field before learning: how its levels fall by chance.

    The records are put in a seeded random order, and each is paired with those that follow it.
    How often values are equal is counted, not drawn: a sample has too few equal birth dates.
    """
    following = min(max(settings.random_pairs // records, 1), (records - 1) // 2)
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE dsegment_drawn AS
        WITH shuffled AS (
            SELECT unique_id,
                   row_number() OVER (ORDER BY hash(record_id || '{settings.seed}'), unique_id) - 1
                       AS place
            FROM dsegment_records
        ),
        before AS (
            SELECT unique_id, (place + ahead) % {records} AS place
            FROM shuffled CROSS JOIN range(1, {following + 1}) AS step(ahead)
        )
        SELECT '0' AS match_key, FALSE AS is_known,
               least(l.unique_id, r.unique_id) AS join_key_l,
               greatest(l.unique_id, r.unique_id) AS join_key_r
        FROM before AS l JOIN shuffled AS r ON l.place = r.place
        """
    )
    sample = _patterns(connection, fields, spec, "dsegment_drawn")
    connection.execute("DROP TABLE dsegment_drawn")
    facts = []
    for i, f in enumerate(fields):
        size = len(spec[f.name])
        there = sample.level[:, i] >= 0
        counts = np.bincount(sample.level[there, i], weights=sample.pairs[there], minlength=size)
        # `exact` compares one of these two columns; equal values are counted over all records.
        column = f"{f.name}_text" if f"{f.name}_text_l" in spec[f.name][0].sql else f"{f.name}_alt"
        ((equal, filled),) = connection.execute(
            f"SELECT sum(n * (n - 1) / 2), sum(n) FROM"
            f" (SELECT count({column}) AS n FROM dsegment_records GROUP BY {column})"
        ).fetchall()
        pairs = filled * (filled - 1) / 2
        exact = equal / pairs if pairs else 0.0
        others = counts[1:] + np.full(size - 1, 0.5)
        family = None
        if f.kind == "name":
            shared = _of_one_family(connection, f, i, size)
            # As uncertain as the sample: half a pair more in every level.
            family = np.concatenate([[exact], (shared[1:] + 0.5) * (1 - exact) / others.sum()])
        facts.append(
            FieldFacts(
                drawn=np.concatenate([[exact], (1 - exact) * others / others.sum()]),
                pairs=float(pairs),
                family=family,
                m_start=np.array([level.m for level in spec[f.name]]),
                home_start=np.array([level.home for level in spec[f.name]]),
                is_own=f.kind in PERSONAL,
                is_key=f.kind in JOINING,
                ways=len(spec[f.name][: WAYS_TO_WRITE.get(f.kind, 0)]),
            )
        )
    return facts


def _of_one_family(connection: Connection, f: Field, number: int, size: int) -> np.ndarray:
    """Count the levels of the drawn pairs whose names share a word that may be a family's."""
    counted = connection.execute(
        f"""
        SELECT level_{number}, count(*) FROM dsegment_seen
        JOIN dsegment_records AS l ON l.unique_id = unique_id_l
        JOIN dsegment_records AS r ON r.unique_id = unique_id_r
        WHERE level_{number} >= 0 AND list_has_any(l.{f.name}_family, r.{f.name}_family)
        GROUP BY ALL
        """
    ).fetchall()
    counts = np.zeros(size)
    for level, pairs in counted:
        counts[level] = pairs
    return counts


def _with_splink(
    connection: Connection,
    fields: Sequence[FieldParameters],
    match_share: float,
    threshold: float | None,
    term_frequencies: pl.DataFrame | None,
    pairs: str = "dsegment_pairs",
) -> Iterator[tuple[str, str]]:
    """Score the pairs with Splink; yield in turn a table of scores and the table of their pairs.

    A share of the pairs at a time: Splink puts all compared texts beside each pair, which for all
    of them at once would be many times the memory of the records.
    """
    from splink import DuckDBAPI, Linker, SettingsCreator

    declared = [Field(f.name, f.kind) for f in fields]
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            _comparison(f, levels(d, declared), term_frequencies is not None)
            for f, d in zip(fields, declared, strict=True)
        ],
        blocking_rules_to_generate_predictions=["l.unique_id = r.unique_id"],
        probability_two_random_records_match=match_share,
        retain_matching_columns=threshold is not None,
        retain_intermediate_calculation_columns=True,
    )
    database = DuckDBAPI(connection=connection)
    linker = Linker(
        database.register("dsegment_records"), settings, log_level=None, validate_settings=False
    )
    if term_frequencies is not None:
        for f in fields:
            name = _frequency_table(connection, f.name, term_frequencies)
            linker.table_management.register_term_frequency_lookup(
                database.register(name), f"{f.name}_key"
            )
    (count,) = connection.execute(f"SELECT count(*) FROM {pairs}").fetchall()[0]
    for first in range(0, count, PAIRS_AT_ONCE):
        some = f"dsegment_some_{first}"
        connection.execute(
            f"CREATE OR REPLACE TABLE {some} AS"
            f" FROM {pairs} WHERE rowid BETWEEN {first} AND {first + PAIRS_AT_ONCE - 1}"
        )
        linker.table_management.register_blocked_pairs_for_predict(database.register(some))
        scored = linker.inference.predict(
            threshold_match_probability=threshold, warning_mode="never"
        ).physical_name
        yield scored, some
        connection.execute(f"DROP TABLE {scored}; DROP TABLE {some}")


def _comparison(
    f: FieldParameters, spec: Sequence[Level], with_frequencies: bool
) -> dict[str, Any]:
    null = not_comparable(Field(f.name, f.kind))
    made = [{"sql_condition": null, "label_for_charts": "empty", "is_null_level": True}]
    for i, level in enumerate(spec):
        entry = {
            "sql_condition": level.sql or "ELSE",
            "label_for_charts": level.name,
            "m_probability": f.m[i],
            "u_probability": f.u[i],
        }
        if i == 0 and with_frequencies:
            entry |= {
                "tf_adjustment_column": f"{f.name}_key",
                "tf_adjustment_weight": 1.0,
                "disable_tf_exact_match_detection": True,
            }
        made.append(entry)
    return {"output_column_name": f.name, "comparison_levels": made}


def _term_frequencies(
    connection: Connection, fields: Sequence[Field], patterns: Patterns, probability: np.ndarray
) -> pl.DataFrame:
    """Return field, key, frequency, family: how rare a value is, and a name within a family.

    `frequency` is the chance that somebody else has the value. It counts people and not records: a
    rare name with four records of one person is still a rare name. Of the pairs of records with an
    equal value those that match are taken off, and what is left says how many people there are.

    `family`, of names only, is how many times as probable as others of its script the name is for
    somebody who bears the family's word of it: a given name of the fashion more, a rare one less.
    """
    # Whole millionths, since sums of fractions depend on how the engine splits them.
    judged = pl.DataFrame(
        {
            **{f"level_{i}": patterns.level[:, i] for i, _ in enumerate(fields)},
            "is_known": patterns.known,
            "millionths": np.rint(1e6 * probability).astype(np.int64),
        }
    )
    connection.register("dsegment_judged", judged)
    parts = [
        f"""
        SELECT '{f.name}' AS field, key, people, coalesce(matched, 0) / 1e6 AS matched
        FROM (
            SELECT {f.name}_key AS key, count(DISTINCT coalesce(known_group, record_id)) AS people
            FROM dsegment_records WHERE {f.name}_key IS NOT NULL GROUP BY ALL
        )
        LEFT JOIN (
            SELECT key, sum(millionths) AS matched FROM (
                SELECT l.{f.name}_key AS key, max(millionths) AS millionths
                FROM dsegment_seen
                NATURAL JOIN dsegment_judged
                JOIN dsegment_records AS l ON l.unique_id = unique_id_l
                JOIN dsegment_records AS r ON r.unique_id = unique_id_r
                WHERE l.{f.name}_key = r.{f.name}_key AND NOT is_known AND millionths > 0
                GROUP BY key, coalesce(l.known_group, l.record_id),
                         coalesce(r.known_group, r.record_id)
            ) GROUP BY ALL
        ) USING (key)
        """
        for f in fields
    ]
    counted = connection.sql(" UNION ALL ".join(parts) + " ORDER BY field, key").pl()
    connection.unregister("dsegment_judged")
    strangers = (pl.col("people") * (pl.col("people") - 1) / 2 - pl.col("matched")).clip(0)
    return (
        counted.with_columns(people=(1 + (1 + 8 * strangers).sqrt()) / 2)
        .join(_given_names(connection, fields), on=["field", "key"], how="left")
        .sort("field", "key")
        .with_columns(
            frequency=pl.col("people") / pl.col("people").sum().over("field"),
            mean=(pl.col("people") * pl.col("given")).sum().over("field")
            / pl.col("people").sum().over("field"),
        )
        .select("field", "key", "frequency", family=pl.col("given") / pl.col("mean"))
    )


def _given_names(connection: Connection, fields: Sequence[Field]) -> pl.DataFrame:
    """Return field, key, given: the share of people of the script who bear the rest of a name.

    Where the family's word is not known, the more frequent rest counts.
    """
    parts = [
        f"""
        SELECT '{f.name}' AS field, key, max(bearers / people) AS given
        FROM (
            SELECT DISTINCT {f.name}_key AS key, {f.name}_alt BETWEEN 'A' AND 'T' AS is_hangul,
                   unnest({f.name}_given) AS given
            FROM dsegment_records
        )
        JOIN (
            SELECT is_hangul, given, count(DISTINCT person) AS bearers FROM (
                SELECT {f.name}_alt BETWEEN 'A' AND 'T' AS is_hangul,
                       unnest({f.name}_given) AS given, coalesce(known_group, record_id) AS person
                FROM dsegment_records
            ) GROUP BY ALL
        ) USING (is_hangul, given)
        JOIN (
            SELECT {f.name}_alt BETWEEN 'A' AND 'T' AS is_hangul,
                   count(DISTINCT coalesce(known_group, record_id)) AS people
            FROM dsegment_records GROUP BY ALL
        ) USING (is_hangul)
        WHERE given <> ''
        GROUP BY ALL
        """
        for f in fields
        if f.kind == "name"
    ]
    if not parts:
        return pl.DataFrame(schema={"field": pl.String, "key": pl.String, "given": pl.Float64})
    return connection.sql(" UNION ALL ".join(parts)).pl()


def _frequency_table(connection: Connection, name: str, term_frequencies: pl.DataFrame) -> str:
    """Make the table of one field's frozen frequencies; an unseen value is as rare as any."""
    table = f"dsegment_frequency_{name}"
    kept = term_frequencies.filter(pl.col("field") == name)
    rarest = kept["frequency"].min()
    connection.register("dsegment_kept", kept)
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {table} AS
        SELECT {name}_key, coalesce(any_value(frequency), {rarest if rarest else "NULL"})
            AS tf_{name}_key, any_value(family) AS family
        FROM dsegment_records LEFT JOIN dsegment_kept ON key = {name}_key
        WHERE {name}_key IS NOT NULL
        GROUP BY {name}_key
        """
    )
    connection.unregister("dsegment_kept")
    return table


def _no_frequencies() -> pl.DataFrame:
    number = {"frequency": pl.Float64, "family": pl.Float64}
    return pl.DataFrame(schema={"field": pl.String, "key": pl.String, **number})


def _numbered(
    fields: Sequence[Field], spec: Mapping[str, Sequence[Level]]
) -> list[FieldParameters]:
    """Parameters under which level i weighs -(i + 1), and an empty field 0.

    Splink gives a pair's levels only together with all compared texts, which would be most of the
    memory; its weights come alone.
    """
    return [
        FieldParameters(
            f.name,
            f.kind,
            tuple(level.name for level in spec[f.name]),
            m=tuple(2.0 ** -(i + 1) for i, _ in enumerate(spec[f.name])),
            u=tuple(1.0 for _ in spec[f.name]),
            home=None,
        )
        for f in fields
    ]


def _as_levels(f: FieldParameters) -> dict[str, Any]:
    rows = [
        {
            "level": level,
            "m": f.m[i],
            "u": f.u[i],
            "home": f.home[i] if f.home else None,
            "weight": round(math.log2(f.m[i] / f.u[i]), 2),
        }
        for i, level in enumerate(f.levels)
    ]
    return {"field": f.name, "kind": f.kind, "levels": rows}


def _from_levels(entry: Mapping[str, Any]) -> FieldParameters:
    rows = entry["levels"]
    return FieldParameters(
        name=entry["field"],
        kind=entry["kind"],
        levels=tuple(row["level"] for row in rows),
        m=tuple(row["m"] for row in rows),
        u=tuple(row["u"] for row in rows),
        home=None if rows[0]["home"] is None else tuple(row["home"] for row in rows),
    )


def _checked_fields(fields: Mapping[str, str]) -> list[Field]:
    if not fields:
        raise MatchingError("no field is declared")
    for name, kind in fields.items():
        if not _NAME.fullmatch(name):
            raise MatchingError(f"{name!r} is no field name: lower case letters, digits and _")
        if kind not in KINDS:
            raise MatchingError(f"{name}: {kind!r} is no kind; kinds are {', '.join(KINDS)}")
    return [Field(name, kind) for name, kind in fields.items()]


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _refuse_other_levels(parameters: Sequence[FieldParameters]) -> None:
    """Refuse parameters whose levels are no longer those that are compared."""
    declared = _checked_fields({f.name: f.kind for f in parameters})
    for f, field_ in zip(parameters, declared, strict=True):
        if f.levels != tuple(level.name for level in levels(field_, declared)):
            raise MatchingError(f"{f.name} was learned with other levels of agreement: train again")
