"""Which records that share no key are one person: Splink in DuckDB, trained once, then frozen.

Here belong the model, training it, scoring with it and grouping what it found, for any record set
whose fields are declared by kind. The records are compared where they lie, in steps of their own:

- `matching_fields`: what a kind of field means; `matching_parameters`: what is learned of a field
- `matching_records`: the table of records; `matching_blocking`: which pairs of them are compared
- `matching_splink`: comparing and scoring pairs; `matching_frequencies`: how rare a value is
- `matching_facts`: how fields agree by chance; `matching_estimation`: the arithmetic of learning
- `matching_families`, `matching_weights`: what the people of one home have in common
- `matching_people`: the reading of the vault

All tables are made in an in-memory database that is attached for the time of the call, so nothing
personal lasts. A model is two parts: parameters (`to_json`: fields, blocking rules, m, u,
thresholds; no value of any record) and term frequencies (a frame keyed by what the caller gave as
`<field>_key`, or else by the value itself: then it is personal and stays where the records are).
Scoring estimates nothing again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from ml.errors import MatchingError
from ml.matching_blocking import Connection, chosen_rules, make_pairs
from ml.matching_estimation import estimate
from ml.matching_facts import facts_of
from ml.matching_families import add_relatives, learned_namesakes
from ml.matching_fields import PERSONAL, SHARED_AT_HOME, Field, levels
from ml.matching_frequencies import no_frequencies, term_frequencies_of
from ml.matching_parameters import (
    FieldParameters,
    as_levels,
    checked_fields,
    from_levels,
    refuse_other_levels,
)
from ml.matching_records import prepare, usable, workspace
from ml.matching_splink import patterns_of, scored_by_splink
from ml.matching_weights import at_home, evidence, family_frequencies, in_town

log = logging.getLogger(__name__)

FORMAT = 4
# Records of one person agree more often than not in what is a person's own. A model that says
# otherwise has learned something else, such as namesakes.
MOST_DISAGREEMENT = 0.5
LEAST_PROBABILITY = 0.001  # below it a pair adds nothing to what is expected

PAIR_SCHEMA = {
    "id_a": pl.String,
    "id_b": pl.String,
    "match_probability": pl.Float64,
    "match_weight": pl.Float64,
    "evidence": pl.String,
}


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
class MatchingModel:
    """Frozen parameters and term frequencies; make it with `train` or `from_json`."""

    fields: tuple[FieldParameters, ...]
    left_out: Mapping[str, str]  # field → why it is not compared
    rules: tuple[tuple[str, ...], ...]
    match_share: float
    home_share: float
    town_share: float
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
        with workspace(connection):
            prepare(connection, records_table, self._declared, id_column, group_column)
            add_relatives(connection, self._declared, self.settings)
            make_pairs(connection, self._declared, self.rules, self.settings, across_only=True)
            return self._scored(connection, threshold)

    def to_json(self) -> str:
        """Return the parameters as text to review and keep; no value of any record is in it."""
        content = {
            "format": FORMAT,
            "match_share": self.match_share,
            "home_share": self.home_share,
            "town_share": self.town_share,
            "namesakes": dict(self.namesakes),
            "thresholds": dict(self.thresholds),
            "fields": [as_levels(parameters) for parameters in self.fields],
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
            parameters = tuple(from_levels(entry) for entry in content["fields"])
            refuse_other_levels(parameters)
            return cls(
                fields=parameters,
                left_out=content["left_out"],
                rules=tuple(tuple(rule) for rule in content["rules"]),
                match_share=content["match_share"],
                home_share=content["home_share"],
                town_share=content["town_share"],
                namesakes=content["namesakes"],
                thresholds=content["thresholds"],
                trained_on=content["trained_on"],
                settings=MatchingSettings(**content["settings"]),
                term_frequencies=no_frequencies() if term_frequencies is None else term_frequencies,
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise MatchingError(
                f"not a file of matching parameters: {type(error).__name__}"
            ) from error

    @property
    def _declared(self) -> list[Field]:
        return [Field(parameters.name, parameters.kind) for parameters in self.fields]

    def _scored(self, connection: Connection, threshold: float) -> pl.DataFrame:
        by_chance = 1 - self.match_share - self.home_share - self.town_share
        not_chance = f"1 + {at_home(self.fields, self.home_share / by_chance, self.namesakes)}"
        not_chance += f" + {in_town(self.fields, self.town_share / by_chance)}"
        found = [
            connection.sql(
                f"""
                WITH weighed AS (
                    SELECT
                        l.record_id AS id_a, r.record_id AS id_b,
                        match_weight - log2({not_chance}) AS weight,
                        {evidence(self.fields)} AS evidence
                    FROM {scored}
                    JOIN dsegment_records AS l ON l.unique_id = unique_id_l
                    JOIN dsegment_records AS r ON r.unique_id = unique_id_r
                    {family_frequencies(self.fields)}
                )
                SELECT
                    id_a, id_b, 1 / (1 + pow(2, -weight)) AS match_probability,
                    weight AS match_weight, evidence
                FROM weighed
                WHERE 1 / (1 + pow(2, -weight)) >= {threshold!r}
                """
            ).pl()
            for scored, _ in scored_by_splink(
                connection, self.fields, self.match_share, threshold, self.term_frequencies
            )
        ]
        return pl.concat([pl.DataFrame(schema=PAIR_SCHEMA), *found]).sort(
            "match_weight", "id_a", "id_b", descending=[True, False, False]
        )


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
    declared = checked_fields(fields)
    with workspace(connection):
        prepare(connection, records_table, declared, id_column, group_column)
        (records,) = connection.execute("SELECT count(*) FROM dsegment_records").fetchall()[0]
        if records < settings.least_records:
            raise MatchingError(
                f"not enough records to train: {records}, {settings.least_records} needed"
            )
        used, left_out = usable(connection, declared, records)
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
    facts = facts_of(connection, fields, spec, records, settings)
    candidates = patterns_of(connection, fields, spec, "dsegment_pairs")
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
            home=tuple(map(float, found.home[i])) if found.home else None,
            town=tuple(map(float, found.town[i])) if found.town else None,
        )
        for i, f in enumerate(fields)
    )
    model = MatchingModel(
        fields=parameters,
        left_out=dict(left_out),
        rules=rules,
        match_share=found.match_share,
        home_share=found.home_share,
        town_share=found.town_share,
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
        term_frequencies=term_frequencies_of(connection, fields, candidates, found.probability),
    )
    # Made anew and not deleted from: the rows are counted through for their shares.
    connection.execute(
        "CREATE OR REPLACE TABLE dsegment_pairs AS FROM dsegment_pairs WHERE NOT is_known"
    )
    scores = model._scored(connection, LEAST_PROBABILITY)["match_probability"].to_numpy()
    model = dataclasses.replace(model, **_calibrated(model, scores))
    if model.trained_on["expected_precision"] is None:
        names = ", ".join(f.name for f in fields)
        log.warning("matching will join nobody: %s alone make no two records likely one", names)
    return model


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
