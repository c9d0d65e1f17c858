"""Matching between the two dbt steps, and the golden contacts after them.

What belongs here: reading people from the vault for ``ml.matching_people``, keeping its parameters,
writing what it found; calling ``landing.golden``.
What does not: how records are compared (``ml/``) or what becomes of a score (``dbt/``).
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from dagster_project.assets.model_runs import in_service
from dagster_project.assets.specs import table_metadata, table_spec, version_of
from dagster_project.resources import Warehouse, Write, write_text
from dagster_project.settings import Settings
from dagster_project.tables import MATCH_SCORES
from dagster_project.why import UnexplainedError, explain
from landing import golden
from landing.declarations import Declarations
from landing.identity_rules import read_identity_rules
from ml.errors import MatchingError

if TYPE_CHECKING:
    import duckdb

    from ml.matching import MatchingModel
    from ml.matching_people import PersonTable

PEOPLE = dg.AssetKey(["intermediate", "int_identity__people_linked"])
CORROBORATED = dg.AssetKey(["intermediate", "int_identity__people_corroborated"])
IDENTIFIERS = dg.AssetKey(["intermediate", "int_identity__identifiers_judged"])
PROFILES = dg.AssetKey(["intermediate", "int_people__profiles_unioned"])
MATCHING_RULES = dg.AssetKey(["raw", "identity_matching"])
CUSTOMERS = dg.AssetKey(["core", "dim_customers"])
PERSON_IDENTIFIERS = dg.AssetKey(["identity", "person_identifiers"])
MATCH_MODEL_KEY = dg.AssetKey(["identity", "match_model"])
CONTACTS_KEY = dg.AssetKey(["golden", "contacts"])
PARAMETERS, FREQUENCIES = "parameters.json", "term_frequencies.parquet"
# How many of the least sure people the check explains, link by link.
EXPLAINED = 5


def identity_assets(settings: Settings, declarations: Declarations) -> list[dg.AssetsDefinition]:
    """The matching step and the golden contacts."""
    ml = Path(__file__).parents[2] / "ml"
    version = version_of(*sorted(ml.glob("matching*.py")))

    @dg.multi_asset(
        name="match_scores",
        specs=[
            dg.AssetSpec(
                MATCH_MODEL_KEY,
                deps=[PEOPLE, CORROBORATED, IDENTIFIERS, PROFILES],
                group_name="identity",
                description="One row per field and level of agreement, as a JSON file: what it is "
                "worth. Trained once, on the first records there are, and kept until `dsegment "
                "train-matching`. It holds no value of any record; how often a value occurs is "
                "kept beside it by pseudonym.",
                owners=["team:data-science"],
                kinds={"python"},
                code_version=version,
            ),
            table_spec(
                MATCH_SCORES,
                deps=[
                    *(PEOPLE, CORROBORATED, IDENTIFIERS, PROFILES),
                    *(MATCH_MODEL_KEY, MATCHING_RULES),
                ],
                owner="team:data-science",
                kinds={"python", "duckdb"},
                code_version=version,
            ),
        ],
        pool="warehouse",
    )
    def match_records(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult]:
        rows = pl.DataFrame(schema=[c.name for c in MATCH_SCORES.columns])
        tables = person_tables(settings, declarations)
        if tables and warehouse.counts([_name(PEOPLE)]) and _has_profiles(warehouse):
            scores = _match(context, warehouse, settings, tables)
            rows = rows if scores is None else scores
        warehouse.write(Write(MATCH_SCORES, rows))
        yield dg.MaterializeResult(
            asset_key=MATCH_MODEL_KEY,
            data_version=dg.DataVersion(kept_version(settings)),
            metadata={"parameters": str(settings.matching_dir / PARAMETERS)},
        )
        yield dg.MaterializeResult(
            asset_key=[MATCH_SCORES.schema, MATCH_SCORES.name],
            metadata={"dagster/row_count": rows.height},
        )

    @dg.multi_asset(
        name="golden_contacts",
        specs=[
            dg.AssetSpec(
                CONTACTS_KEY,
                deps=[CUSTOMERS],
                group_name="golden",
                description="One row per person and field of the golden profile, in clear. It is "
                "in the vault, and only activation reads it.",
                owners=["team:data-platform"],
                kinds={"python", "duckdb"},
                code_version=version_of(Path(golden.__file__)),
                metadata=table_metadata(
                    "golden.contacts",
                    ((c.name, c.sql_type, c.description) for c in golden.CONTACTS),
                ),
            )
        ],
        pool="warehouse",
    )
    def resolve_contacts(warehouse: Warehouse) -> dg.MaterializeResult:
        with warehouse.connect(vault=True) as connection:
            written = golden.write_golden_contacts(connection, declarations)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(written.row_counts.values()),
                "unresolved_count": written.unresolved_count,
                **{f"{field}_count": count for field, count in written.row_counts.items()},
            }
        )

    return [match_records, resolve_contacts]


def people_check() -> dg.AssetChecksDefinition:
    """Why the least sure people are one person each, link by link."""

    @dg.asset_check(
        asset=PERSON_IDENTIFIERS,
        name="people_are_explained",
        additional_deps=[dg.AssetKey(["identity", "identifier_edges"])],
        description=f"The {EXPLAINED} least sure people are each connected by accepted links.",
        pool="warehouse",
    )
    def explain_people(warehouse: Warehouse) -> dg.AssetCheckResult:
        ends = warehouse.read(
            """
            select person_id, min(pseudonym) as first, max(pseudonym) as last
            from identity.person_identifiers
            group by person_id having count(*) > 1
            order by min(confidence), count(*) desc, person_id
            limit $explained
            """,
            {"explained": EXPLAINED},
        )
        told, unexplained = [], 0
        for row in ends.iter_rows(named=True):
            try:
                told.append(explain(row["first"], row["last"], warehouse))
            except UnexplainedError as error:
                unexplained += 1
                told.append(f"Person {row['person_id']}: {error}")
        return dg.AssetCheckResult(
            passed=not unexplained,
            description=f"{unexplained} of {ends.height} people are not connected by their links."
            if unexplained
            else f"{ends.height} people explained; `dsegment why` tells of any other.",
            metadata={"why": dg.MetadataValue.md("```\n" + "\n\n".join(told) + "\n```")},
        )

    return explain_people


def _match(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    settings: Settings,
    tables: Sequence["PersonTable"],
) -> pl.DataFrame | None:
    """Scored pairs; none where no model can be trained."""
    from ml.matching_people import match_people

    least = warehouse.read(_name(MATCHING_RULES))["suggest_above"].item()
    with warehouse.connect(vault=True) as connection:
        try:
            _train_once(connection, tables, settings)
        except MatchingError as refused:
            context.log.warning(f"No records were matched: {refused}.")
            return None
        model, trained = _frozen_model(settings), kept_version(settings)
        found = match_people(connection, tables, model, threshold=least)
    as_of = warehouse.as_of()
    context.log.info(f"{found.height:,} pairs of people are alike, by model {trained}.")
    _record(warehouse, model, trained, settings)
    return found.with_columns(model_run_id=pl.lit(trained), as_of_date=pl.lit(as_of))


def _train_once(
    connection: "duckdb.DuckDBPyConnection", tables: Sequence["PersonTable"], settings: Settings
) -> None:
    """Keep a trained model the first time, and after `dsegment train-matching`."""
    from ml.matching_people import train_on_people

    parameters, frequencies = _kept_files(settings)
    if parameters.exists():
        return
    model = train_on_people(connection, tables)
    settings.matching_dir.mkdir(parents=True, exist_ok=True)
    model.term_frequencies.write_parquet(frequencies)
    # Last: with it the model counts as kept.
    write_text(parameters, model.to_json())


def _frozen_model(settings: Settings) -> "MatchingModel":
    """The kept model.

    One that cannot be read stops the run: to go on without it would part all whom it has joined.
    """
    from ml.matching import MatchingModel

    parameters, frequencies = _kept_files(settings)
    try:
        text = parameters.read_text(encoding="utf-8")
        return MatchingModel.from_json(text, pl.read_parquet(frequencies))
    except (MatchingError, OSError, UnicodeError, pl.exceptions.ComputeError) as error:
        raise dg.Failure(
            f"The matching model kept in {settings.matching_dir} cannot be used: {error}. Put the "
            "file back as it was, or `dsegment train-matching` sets the model aside and learns a "
            "new one. Nobody was parted."
        ) from error


def kept_version(settings: Settings) -> str:
    """The hash of the kept model's files, which names its run; `none` where none is kept."""
    files = _kept_files(settings)
    if not files[0].exists():
        return "none"
    kept = b"".join(file.read_bytes() for file in files if file.exists())
    return hashlib.sha256(kept).hexdigest()[:16]


def forget_model(settings: Settings) -> None:
    """Set the kept parameters aside, under the name `former`, so that the next run trains anew."""
    for kept in _kept_files(settings):
        if kept.exists():
            kept.replace(kept.with_name(f"former_{kept.name}"))


def _kept_files(settings: Settings) -> tuple[Path, Path]:
    """Where the parameters and the term frequencies are kept."""
    return settings.matching_dir / PARAMETERS, settings.matching_dir / FREQUENCIES


def _record(warehouse: Warehouse, model: "MatchingModel", trained: str, settings: Settings) -> None:
    """The model's row in ``ml.model_runs``, under the name that the scores carry.

    One that was set aside and put back serves again.
    """
    from ml.model_runs import ModelRun

    serving = warehouse.read(
        "select 1 from ml.model_runs where model_run_id = $run and is_champion", {"run": trained}
    )
    if serving.height:
        return
    run = ModelRun(
        model_run_id=trained,
        model_name=MATCH_SCORES.name,
        as_of_date=warehouse.as_of(),
        data_version=trained,
        features=tuple(field.name for field in model.fields),
        parameters={"rules": model.rules, "thresholds": model.thresholds},
        metrics={"match_share": model.match_share, "trained_on": model.trained_on},
        artifact_path=str((settings.matching_dir / PARAMETERS).relative_to(settings.home)),
    )
    warehouse.write(in_service(warehouse, run, "trained on demand, then kept"))


def person_tables(settings: Settings, declarations: Declarations) -> list["PersonTable"]:
    """The vault's tables that describe people, as ``sources.yml`` declares them."""
    from ml.matching_people import KIND_OF, PersonTable

    rules = read_identity_rules(settings.identity_file, declarations)
    trusted = [kind for kind, rule in rules.identifier_types.items() if rule.tier != "weak"]
    tables = []
    for entity in declarations.selected_entities(settings.sources):
        owners = [column for column in entity.identifiers if column.identifier in trusted]
        fields = {c.pseudonym_type: c.name for c in entity.columns if c.pseudonym_type in KIND_OF}
        if owners and any(column.attribute for column in entity.columns):
            owners.sort(key=lambda column: trusted.index(column.identifier))
            tables.append(
                PersonTable(f"vault.raw.{entity.table}", fields, [c.name for c in owners])
            )
    return tables


def _has_profiles(warehouse: Warehouse) -> bool:
    return bool(warehouse.read(f"select 1 from {_name(PROFILES)} limit 1").height)


def _name(key: dg.AssetKey) -> str:
    return ".".join(key.path)
