"""Puts suites to the warehouse and brings back one plain result a rule.

Here belongs: running suites through Great Expectations inside DuckDB, read-only, and turning its
results into rows without a single value of the data. Not here: what the rules are (suites), when
they run, what a failure stops, and storing the results (wiring).

Great Expectations is imported inside `run_suites`, never at the top.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.suites import SQL_TYPE, Expectation, Suite, SuiteError

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch

    from expectations.duckdb_backend import DuckDBDatasource

# SUMMARY gives counts; a partial count of 0 keeps the sample of bad values out of the result, and
# out of the query: it is fetched with LIMIT 0.
_RESULT_FORMAT = {
    "result_format": "SUMMARY",
    "partial_unexpected_count": 0,
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
}
# Engine errors whose first line names tables and columns, never a value of a row. All others
# (a failed conversion quotes the text it could not convert) are reported by their kind alone.
_NAMING_ERRORS = re.compile(
    r"_duckdb\.(CatalogException|BinderException|ParserException)\) ([^\n]*)"
)
_ANY_ENGINE_ERROR = re.compile(r"_duckdb\.(\w+)\)")


class WarehouseUnavailableError(RuntimeError):
    """The warehouse file cannot be opened for reading, so no rule could be asked."""


@dataclass(frozen=True)
class RuleResult:
    """One rule on one table, judged. The grain is (gate, table_schema, table_name, rule, column).

    Counts are rows, except for SQL rules that return groups, whose description says so.
    `element_count` is the number of rows in the table; both counts are None where the rule is
    about a single number. `observed_value` is an aggregate as text, never a value of a row.
    """

    gate: str
    table_schema: str
    table_name: str
    rule: str
    description: str
    column_name: str | None
    is_success: bool
    unexpected_count: int | None
    element_count: int | None
    observed_value: str | None
    details: str


def run_suites(warehouse_path: str | Path, suites: Sequence[Suite]) -> list[RuleResult]:
    """Every rule of the suites, judged inside DuckDB; one result a rule, in the suites' order.

    The file is opened read-only and everything is closed on return, so a plain `duckdb.connect`
    to it works at once in the same process. While it runs, the process may hold no other open
    connection to the file. A rule that cannot be evaluated (no such table or column, an engine
    error) is a failed result whose `details` say why.

    Args:
        warehouse_path: The DuckDB file.
        suites: Suites of one or several gates; an empty sequence costs nothing.

    Raises:
        WarehouseUnavailableError: The file is missing, locked, or open with other settings.
        SuiteError: Great Expectations does not accept the value of a kwarg.

    """
    if not suites:
        return []
    path = Path(warehouse_path)
    if not path.is_file():
        raise WarehouseUnavailableError(f"There is no warehouse file at {path}.")
    with _silenced_libraries(), _datasource(path) as datasource:
        return [result for suite in suites for result in _run_suite(datasource, suite)]


@contextmanager
def _silenced_libraries() -> Iterator[None]:
    # Great Expectations logs the text of engine errors with the tracebacks, and such a text can
    # quote a personal value; SQLAlchemy logs rows at DEBUG. All there is to know is in the results.
    loggers = [logging.getLogger(name) for name in ("great_expectations", "sqlalchemy")]
    before = [logger.propagate for logger in loggers]
    handler = logging.NullHandler()
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.propagate = propagate
            logger.removeHandler(handler)


@contextmanager
def _datasource(path: Path) -> Iterator[DuckDBDatasource]:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.datasource.fluent.interfaces import TestConnectionError
    from sqlalchemy import URL

    # Importing registers the datasource type and the SQL rule with Great Expectations.
    from expectations import duckdb_backend as _registers  # noqa: F401

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = {"globally": False}
    url = URL.create("duckdb", database=str(path), query={"access_mode": "read_only"})
    try:
        datasource = context.data_sources.add_duckdb_file(
            # A dollar sign would be taken for a configuration variable.
            name="warehouse",
            connection_string=url.render_as_string(hide_password=False).replace("$", r"\$"),
        )
    except TestConnectionError as error:
        raise WarehouseUnavailableError(
            f"The warehouse {path} cannot be opened for reading ({_root_cause(error)}). "
            "Close this process's other connections to it, or wait for the process that writes."
        ) from error
    try:
        yield datasource
    finally:
        datasource.close()


def _run_suite(datasource: DuckDBDatasource, suite: Suite) -> list[RuleResult]:
    catalog = datasource.get_execution_engine().get_inspector()
    columns = catalog.column_names(suite.schema, suite.table)
    if columns is None:
        missing = f"The table {suite.schema}.{suite.table} does not exist."
        return [_not_evaluated(suite, rule, missing) for rule in suite.expectations]
    results: dict[int, RuleResult] = {}
    askable: list[int] = []
    for position, rule in enumerate(suite.expectations):
        absent = [name for name in rule.columns if name not in columns]
        if absent:
            text = f"{suite.schema}.{suite.table} has no column {', '.join(absent)}."
            results[position] = _not_evaluated(suite, rule, text)
        else:
            askable.append(position)
    if askable:
        asset = datasource.add_table_asset(
            suite.name, table_name=suite.table, schema_name=suite.schema
        )
        batch = asset.add_batch_definition_whole_table("whole table").get_batch()
        results |= _ask(batch, suite, askable)
    return [results[position] for position in range(len(suite.expectations))]


def _ask(batch: Batch, suite: Suite, positions: Sequence[int]) -> dict[int, RuleResult]:
    outcomes = _validate(batch, suite, positions)
    # Rules share bundled queries, and one that cannot be computed takes its whole bundle down:
    # asked alone, only the one at fault stays failed.
    if len(positions) > 1:
        for position in [p for p in positions if _error_text(outcomes[p]) is not None]:
            outcomes |= _validate(batch, suite, [position])
    return {p: _result(suite, suite.expectations[p], outcomes[p]) for p in positions}


def _validate(
    batch: Batch, suite: Suite, positions: Sequence[int]
) -> dict[int, ExpectationValidationResult]:
    from great_expectations.core import ExpectationSuite
    from great_expectations.expectations.registry import get_expectation_impl

    from expectations.duckdb_backend import ExpectNoUnexpectedRows

    expectations = []
    for position in positions:
        rule = suite.expectations[position]
        implementation = (
            ExpectNoUnexpectedRows if rule.type == SQL_TYPE else get_expectation_impl(rule.type)
        )
        try:
            expectations.append(implementation(**rule.kwargs, meta={"position": position}))
        except ValueError as error:
            # The text quotes the suite's own kwargs, nothing from the table.
            raise SuiteError(f"{suite.name}, rule {rule.rule}: {error}") from error
    outcome = batch.validate(
        ExpectationSuite(name=suite.name, expectations=expectations), result_format=_RESULT_FORMAT
    )
    # Great Expectations returns results in an order of its own.
    return {r.expectation_config.meta["position"]: r for r in outcome.results}


def _result(suite: Suite, rule: Expectation, outcome: ExpectationValidationResult) -> RuleResult:
    error = _error_text(outcome)
    if error is not None:
        return _not_evaluated(suite, rule, error)
    found: Mapping[str, Any] = outcome.result
    unexpected, elements = found.get("unexpected_count"), found.get("element_count")
    observed = _aggregate_text(found.get("observed_value"))
    if unexpected is not None and elements is not None:
        details = f"{unexpected:,} found in a table of {elements:,} rows."
    elif observed is not None:
        details = f"The observed value is {observed}."
    else:
        details = "The rule holds." if outcome.success else "The rule does not hold."
    return RuleResult(
        gate=suite.gate,
        table_schema=suite.schema,
        table_name=suite.table,
        rule=rule.rule,
        description=rule.description,
        column_name=rule.column_name,
        is_success=bool(outcome.success),
        unexpected_count=None if unexpected is None else int(unexpected),
        element_count=None if elements is None else int(elements),
        observed_value=observed,
        details=details,
    )


def _not_evaluated(suite: Suite, rule: Expectation, reason: str) -> RuleResult:
    return RuleResult(
        gate=suite.gate,
        table_schema=suite.schema,
        table_name=suite.table,
        rule=rule.rule,
        description=rule.description,
        column_name=rule.column_name,
        is_success=False,
        unexpected_count=None,
        element_count=None,
        observed_value=None,
        details=f"The rule could not be checked, which counts as failed: {reason}",
    )


def _aggregate_text(value: object) -> str | None:
    # Numbers only: the minimum of a text column would be somebody's text.
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return str(value)


def _error_text(outcome: ExpectationValidationResult) -> str | None:
    """Why the rule could not be evaluated, without a value of the data; None when it was."""
    info = outcome.exception_info or {}
    if not info.get("raised_exception", True):
        return None
    parts = [info] if "exception_message" in info else list(info.values())
    text = "\n".join(
        f"{part.get('exception_message')}\n{part.get('exception_traceback')}"
        for part in parts
        if isinstance(part, Mapping)
    )
    return _safe_error(text)


def _root_cause(error: BaseException) -> str:
    text = str(error)
    while (error := error.__cause__ or error.__context__) is not None:
        text = str(error)
    return " ".join(text.split())


def _safe_error(text: str) -> str:
    if naming := _NAMING_ERRORS.search(text):
        return f"{naming.group(1)}: {naming.group(2)}"
    if engine := _ANY_ENGINE_ERROR.search(text):
        return f"{engine.group(1)} (its text is withheld, as it may quote a value)."
    return (
        "Great Expectations could not compute it (its text is withheld, as it may quote a value)."
    )
