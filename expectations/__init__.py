"""What a table means, said as expectations, and the runner that asks the warehouse about them.

Here belong: the suites at the borders of the warehouse (landing → dbt, marts → ml, ml → segments),
their loader, and the code that pushes them down into DuckDB through Great Expectations.
Not here: tests inside the warehouse (they stand beside the dbt model), the decision when a gate
runs and what it blocks (wiring), and any writing: a gate only reads.

Importing this package, or `expectations.suites`, costs nothing: Great Expectations is imported
when `run_suites` is first called.
"""

from expectations.runner import RuleResult, WarehouseUnavailableError, run_suites
from expectations.suites import (
    Expectation,
    Suite,
    SuiteError,
    landing_suite,
    load_suite,
    load_suites,
)

__all__ = [
    "Expectation",
    "RuleResult",
    "Suite",
    "SuiteError",
    "WarehouseUnavailableError",
    "landing_suite",
    "load_suite",
    "load_suites",
    "run_suites",
]
