"""Source files → raw tables, quarantine and load ledger, all in one step.

What belongs here: calling ``landing`` with this run's settings and telling Dagster what came.
What does not: reading, checking or hashing a row (``landing/``).
"""

import hashlib
import importlib
from collections.abc import Iterator, Sequence

import dagster as dg

import landing
from dagster_project.assets.specs import table_metadata, version_of
from dagster_project.resources import Warehouse, warehouse_of
from dagster_project.settings import Settings
from dagster_project.tables import DBT_HISTORIES
from landing.declarations import Declarations, Entity, RawColumn
from landing.identity_rules import read_identity
from landing.load import LandingResult, land, pending
from landing.pseudonyms import read_or_create_key
from landing.tables import AS_OF, IDENTITY, LEDGER, QUARANTINE

QUALITY_KEYS = [dg.AssetKey(["quality", "load_ledger"]), dg.AssetKey(["quality", "quarantine"])]
AS_OF_KEY = dg.AssetKey(["raw", "as_of"])
IDENTITY_KEYS = {name: dg.AssetKey(["raw", f"identity_{name}"]) for name in IDENTITY}


def landing_assets(settings: Settings, declarations: Declarations) -> dg.AssetsDefinition:
    """Every declared raw table, with the ledger, the quarantine and the run's business day."""
    version = version_of(landing)
    specs = [
        _raw_spec(entity, declarations.sources[entity.source].owner, version)
        for entity in declarations.entities
    ]
    specs += [
        dg.AssetSpec(
            key,
            group_name=key.path[0],
            description=description,
            owners=["team:data-platform"],
            kinds={"duckdb"},
            code_version=version,
            metadata=_raw_metadata(key, columns),
        )
        for key, columns, description in (
            (
                QUALITY_KEYS[0],
                LEDGER,
                "One row per file that was read or refused: rows read = rows loaded + quarantined.",
            ),
            (
                QUALITY_KEYS[1],
                QUARANTINE,
                "One row per refused row, or per refused file with its row count.",
            ),
            (AS_OF_KEY, AS_OF, "One row: the business day that is today for the run."),
            *((IDENTITY_KEYS[name], columns, text) for name, (text, columns) in IDENTITY.items()),
        )
    ]

    @dg.multi_asset(name="landing", specs=specs, pool="warehouse")
    def land_files(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult]:
        export_example_data(settings, declarations)
        key = read_or_create_key(settings.home, settings.pseudonym_key)
        warehouse.ensure_tables()
        warehouse.restore(DBT_HISTORIES, settings.history_dir)
        with warehouse.connect(vault=True) as connection:
            result = land(
                connection,
                declarations,
                settings.sources,
                settings.landing_dir,
                key,
                as_of=settings.as_of,
                progress=lambda step: step.outcome and context.log.info(str(step)),
                forget_missing=settings.forget_missing,
                identity=read_identity(
                    settings.identity_file, settings.decisions_file, declarations
                ),
            )
        for name in result.unclaimed:
            context.log.warning(f"{name} matches no declared entity and was not read.")
        if result.as_of_date is None:
            raise dg.Failure(_no_day(settings, declarations))
        yield from _results(warehouse, declarations, result)

    return land_files


def landing_keys(declarations: Declarations) -> set[dg.AssetKey]:
    """All that the landing step makes; it is one step, so it is made as a whole."""
    return {
        *(dg.AssetKey(["raw", entity.table]) for entity in declarations.entities),
        *QUALITY_KEYS,
        AS_OF_KEY,
        *IDENTITY_KEYS.values(),
    }


def anything_to_land(settings: Settings, declarations: Declarations) -> bool:
    """Whether landing would change a table: a new file, declaration, key or business day."""
    if not settings.warehouse_path.exists():
        return True
    key = read_or_create_key(settings.home, settings.pseudonym_key)
    with warehouse_of(settings).connect() as connection:
        reasons = pending(
            connection,
            declarations,
            settings.sources,
            settings.landing_dir,
            key,
            as_of=settings.as_of,
            identity=read_identity(settings.identity_file, settings.decisions_file, declarations),
        )
    return bool(reasons)


def export_example_data(settings: Settings, declarations: Declarations) -> None:
    """Write the files of a published or simulated source whose landing folder is empty."""
    for name in settings.sources:
        module = declarations.sources[name].example_data
        folder = settings.landing_dir / name
        if module and not any(folder.glob("*")):
            importlib.import_module(f"simulator.{module}").export(settings.landing_dir)


def _no_day(settings: Settings, declarations: Declarations) -> str:
    awaited = ", ".join(
        f"{entity.source}/{entity.files}"
        for entity in declarations.selected_entities(settings.sources)
        if entity.event_time
    )
    return (
        f"Nothing has landed that tells which day it is. Put files into {settings.landing_dir} "
        f"({awaited or 'no selected entity declares an event_time'}), or set AS_OF. What was "
        "refused, and why, is in quality.load_ledger and quality.quarantine."
    )


def _raw_spec(entity: Entity, owner: str, version: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        ["raw", entity.table],
        group_name="raw",
        description=f"{entity.description}\n\nFiles `{entity.source}/{entity.files}`, "
        f"delivered as {entity.delivery}.",
        owners=[f"team:{owner}"],
        kinds={entity.format, "duckdb"},
        code_version=version,
        metadata=_raw_metadata(dg.AssetKey(["raw", entity.table]), entity.raw_columns),
    )


def _raw_metadata(
    key: dg.AssetKey, columns: Sequence[RawColumn]
) -> dict[str, dg.TableSchema | str]:
    return table_metadata(
        ".".join(key.path), ((c.name, c.sql_type, c.description) for c in columns)
    )


def _results(
    warehouse: Warehouse, declarations: Declarations, result: LandingResult
) -> Iterator[dg.MaterializeResult]:
    made = {state.table: state for state in result.tables}
    for entity in declarations.entities:
        state = made.get(entity.table)
        yield dg.MaterializeResult(
            asset_key=["raw", entity.table],
            data_version=dg.DataVersion(state.data_version if state else "not selected"),
            metadata={"dagster/row_count": state.row_count if state else 0},
        )
    yield dg.MaterializeResult(
        asset_key=AS_OF_KEY,
        data_version=dg.DataVersion(str(result.as_of_date)),
        metadata={"as_of_date": str(result.as_of_date)},
    )
    for state in result.identity:
        yield dg.MaterializeResult(
            asset_key=["raw", state.table],
            data_version=dg.DataVersion(state.data_version),
            metadata={"dagster/row_count": state.row_count},
        )
    landed = [file for file in result.files if file.status in ("loaded", "refused")]
    accounts = {
        "files_landed": len(landed),
        "rows_read": sum(file.rows_read for file in landed),
        "rows_loaded": sum(file.rows_loaded for file in landed),
        "rows_quarantined": sum(file.rows_quarantined for file in landed),
    }
    versions = "".join(state.data_version for state in result.tables)
    counts = warehouse.counts(key.to_user_string().replace("/", ".") for key in QUALITY_KEYS)
    for key in QUALITY_KEYS:
        yield dg.MaterializeResult(
            asset_key=key,
            data_version=dg.DataVersion(hashlib.sha256(versions.encode()).hexdigest()[:16]),
            metadata={
                "dagster/row_count": counts[key.to_user_string().replace("/", ".")],
                **accounts,
            },
        )
