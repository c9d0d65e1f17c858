"""Expectation suite ↔ asset key: each gate is one step of blocking asset checks.

What belongs here: running a gate's suites, keeping their results, telling Dagster.
What does not: what a table means (``expectations/suites``) or how rules run (``expectations``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from dagster_project.assets.specs import table_spec
from dagster_project.resources import Warehouse, Write
from dagster_project.tables import GATE_RESULTS
from expectations.suites import GATES, Suite, landing_suite, load_suites
from landing.declarations import Declarations, Entity

GATE_RESULTS_KEY = dg.AssetKey([GATE_RESULTS.schema, GATE_RESULTS.name])


def gates(declarations: Declarations) -> list[dg.AssetChecksDefinition]:
    """The three borders: landing → dbt, marts → models, models → segments."""
    return [gate_checks(gate, suites) for gate, suites in suites_by_gate(declarations).items()]


def suites_by_gate(declarations: Declarations) -> dict[str, list[Suite]]:
    """What is asked at each border: what ``sources.yml`` declares, and the suites as written."""
    suites = {suite.name: suite for suite in map(declared_suite, declarations.entities)}
    for suite in load_suites():
        suites[suite.name] = suites[suite.name] + suite if suite.name in suites else suite
    return {gate: [suite for suite in suites.values() if suite.gate == gate] for gate in GATES}


def gate_results_spec() -> dg.AssetSpec:
    """``quality.gate_results``, which every gate adds to."""
    return table_spec(GATE_RESULTS, owner="team:data-platform")


def declared_suite(entity: Entity) -> Suite:
    """What ``sources.yml`` says of an entity, as rules for its raw table."""
    shown = [column for column in entity.columns if not column.is_sensitive]
    pseudonyms = {column.name: f"{column.name}_pseudonym" for column in entity.pseudonymised}
    return landing_suite(
        "raw",
        entity.table,
        key_columns=[pseudonyms.get(name, name) for name in entity.key],
        required_columns=[c.name for c in shown if c.required],
        pseudonym_columns=list(pseudonyms.values()),
        ranges={c.name: (c.min, c.max) for c in shown if c.min is not None or c.max is not None},
        accepted={c.name: c.accepted for c in shown if c.accepted},
        ledger=(entity.source, entity.name),
        keeps_every_row=entity.delivery == "append",
    )


def gate_checks(gate: str, suites: Sequence[Suite]) -> dg.AssetChecksDefinition:
    """One step that judges all tables of a border; a failed table stops what reads it."""
    by_key = {dg.AssetKey([suite.schema, suite.table]): suite for suite in suites}

    @dg.multi_asset_check(
        name=f"gate_{gate}",
        specs=[
            dg.AssetCheckSpec(
                name=f"gate_{gate}",
                asset=key,
                blocking=True,
                description=f"{len(suite.expectations)} rules of {suite.schema}.{suite.table}, "
                "judged by Great Expectations inside DuckDB.",
            )
            for key, suite in by_key.items()
        ],
        can_subset=True,
        pool="warehouse",
    )
    def judge(
        context: dg.AssetCheckExecutionContext, warehouse: Warehouse
    ) -> Iterator[dg.AssetCheckResult]:
        from expectations.runner import run_suites  # imports Great Expectations, which takes 8 s

        keys = sorted(
            {key.asset_key for key in context.selected_asset_check_keys},
            key=lambda key: key.to_user_string(),
        )
        with warehouse.lock():
            results = run_suites(warehouse.path, [by_key[key] for key in keys])
        judged = pl.DataFrame([asdict(result) for result in results], infer_schema_length=None)
        warehouse.write(
            Write(
                GATE_RESULTS,
                judged.with_columns(
                    as_of_date=pl.lit(warehouse.as_of()),
                    run_id=pl.lit(context.op_execution_context.run_id),
                    checked_at=pl.lit(datetime.now(UTC).replace(tzinfo=None)),
                ),
                matching={"run_id": context.op_execution_context.run_id, "gate": gate},
            )
        )
        context.op_execution_context.log_event(dg.AssetMaterialization(asset_key=GATE_RESULTS_KEY))
        for key in keys:
            table = judged.filter(
                (pl.col("table_schema") == key.path[0]) & (pl.col("table_name") == key.path[1])
            )
            yield _result(key, f"gate_{gate}", table)

    return judge


def _result(key: dg.AssetKey, name: str, rules: pl.DataFrame) -> dg.AssetCheckResult:
    failed = rules.filter(~pl.col("is_success"))
    table = key.to_user_string().replace("/", ".")
    lines = [
        f"| {row['rule']} | {row['column_name'] or ''} | "
        f"{'passed' if row['is_success'] else '**failed**'} | {row['unexpected_count'] or 0} | "
        f"{row['element_count'] or ''} | {row['description'] or ''} |"
        for row in rules.sort("is_success", maintain_order=True).iter_rows(named=True)
    ]
    broken = "; ".join(
        f"{row['rule']} ({row['unexpected_count'] or row['details']}): {row['description']}"
        for row in failed.iter_rows(named=True)
    )
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=failed.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{table} breaks {broken}" if broken else f"{table} meets all its rules.",
        metadata={
            "rules": dg.MetadataValue.md(
                "| rule | column | result | unexpected | judged | meaning |\n"
                "|---|---|---|---|---|---|\n" + "\n".join(lines)
            ),
            "failed_rules": failed.height,
            "unexpected_rows": int(failed["unexpected_count"].fill_null(0).sum()),
        },
    )
