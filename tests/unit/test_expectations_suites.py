"""The suites as data: what is shipped is well formed, and what is malformed is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from expectations import Suite, SuiteError, landing_suite, load_suite, load_suites
from expectations.suites import KNOWN_TYPES

HEAD = "description: Protects a table for a test.\nexpectations:\n"
GOOD = """\
  - type: expect_column_values_to_not_be_null
    kwargs: {column: a}
    description: The column a is always filled.
"""


def write(folder: Path, text: str, name: str = "marts/marts.t.yml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_suites_cover_the_borders() -> None:
    assert {suite.name for suite in load_suites()} == {
        "landing/quality.load_ledger",
        "landing/raw.as_of",
        "marts/marts.mart_churn_labels",
        "marts/marts.mart_customer_features",
        "marts/marts.mart_customer_rfm",
        "marts/marts.mart_product_purchases",
        "ml/ml.campaign_responses",
        "ml/ml.category_propensity",
        "ml/ml.churn_scores",
        "ml/ml.cluster_assignments",
        "ml/ml.lifetime_values",
        "ml/ml.recommendations",
    }
    assert {suite.gate for suite in load_suites("ml")} == {"ml"}


def test_loading_suites_imports_no_engine() -> None:
    code = (
        "import sys, expectations; expectations.load_suites(); "
        "assert not {'great_expectations', 'duckdb', 'sqlalchemy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_suite_is_read_with_defaults(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, HEAD + GOOD))
    [expectation] = suite.expectations
    assert (suite.gate, suite.schema, suite.table) == ("marts", "marts", "t")
    assert expectation.rule == "expect_column_values_to_not_be_null"
    assert expectation.column_name == "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expectations: [", "not readable YAML"),
        ("[]", "has the entries 'description' and 'expectations'"),
        ("expectations: []\n", "say in 'description'"),
        (HEAD + "  []\n", "at least one entry"),
        (HEAD + GOOD + "  - just text\n", "entry 2: an entry has"),
        (HEAD + GOOD + GOOD, "entry 2 .*already for a"),
        (HEAD + GOOD.replace("type:", "typ:"), "entry 1: unknown field typ"),
        (HEAD + GOOD.replace("_not_be_null", "_be_nice"), "entry 1: .* not an accepted type"),
        (
            HEAD + GOOD.replace("expect_column_values_to_not_be_null", "expect_column_to_be_odd"),
            "not an accepted type",
        ),
        (HEAD + GOOD.replace("{column: a}", "{colum: a}"), "entry 1: .* needs column"),
        (HEAD + GOOD.replace("{column: a}", "{column: a, x: 1}"), "does not take x"),
        (HEAD + GOOD.replace("{column: a}", "{column: 5}"), "is the name of a column"),
        (HEAD + GOOD.replace("{column: a}", "{column: a, mostly: 95}"), "mostly is a share"),
        (HEAD + GOOD.replace("{column: a}", "{column: a, column: b}"), "'column' stands twice"),
        (HEAD + GOOD.replace("{column: a}", "[a]"), "'kwargs' must be a mapping"),
        (HEAD + GOOD.replace("The column a is always filled.", "Filled."), "plain sentence"),
        (HEAD + GOOD + "    rule: Not A Name\n", "lower_case_with_underscores"),
        (
            HEAD + "  - type: expect_column_values_to_be_between\n    kwargs: {column: a}\n"
            "    description: The column a has bounds.\n",
            "entry 1: .* needs min_value or max_value",
        ),
        (
            HEAD + "  - type: expect_column_values_to_be_in_set\n"
            f"    kwargs: {{column: a, value_set: {list(range(101))}}}\n"
            "    description: The column a has known values.\n",
            "1 to 100 values",
        ),
        (
            HEAD + "  - type: expect_compound_columns_to_be_unique\n"
            "    kwargs: {column_list: [a]}\n"
            "    description: The key a is unique here.\n",
            "two columns or more",
        ),
    ],
)
def test_a_malformed_suite_is_refused_with_file_and_entry(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SuiteError, match=message) as caught:
        load_suite(write(tmp_path, text))
    assert str(caught.value).startswith("marts/marts.t.yml")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select 1 from marts.t", "reads the table as"),
        ("select 1 from {batch} where a = '{x}'", "no other placeholder"),
        ("select 1 from {batch} where regexp_matches(a, 'x{3}')", "no other placeholder"),
        ("select 1 from {batch", "literal brace is written doubled"),
        ("delete from {batch}", "is a select"),
    ],
)
def test_a_query_is_checked_before_it_runs(tmp_path: Path, query: str, message: str) -> None:
    entry = (
        "  - type: unexpected_rows_expectation\n    rule: a_rule\n"
        f'    kwargs: {{unexpected_rows_query: "{query}"}}\n'
        "    description: No row of the table is bad.\n"
    )
    with pytest.raises(SuiteError, match=message) as caught:
        load_suite(write(tmp_path, HEAD + entry))
    assert "entry 1 (a_rule)" in str(caught.value)


def test_an_sql_rule_needs_a_name(tmp_path: Path) -> None:
    entry = (
        "  - type: unexpected_rows_expectation\n"
        "    kwargs: {unexpected_rows_query: 'select 1 from {batch}'}\n"
        "    description: No row of the table is bad.\n"
    )
    with pytest.raises(SuiteError, match="needs a 'rule' name"):
        load_suite(write(tmp_path, HEAD + entry))


@pytest.mark.parametrize("name", ["marts/t.yml", "nowhere/marts.t.yml", "marts/marts.t-x.yml"])
def test_a_file_in_the_wrong_place_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, HEAD + GOOD, name)
    with pytest.raises(SuiteError, match=name):
        load_suites(folder=tmp_path)


def test_an_unknown_gate_is_refused() -> None:
    with pytest.raises(SuiteError, match="There is no gate 'mart'"):
        load_suites("mart")


def test_the_default_suite_says_what_the_declaration_says() -> None:
    suite = landing_suite(
        "raw",
        "shop__lines",
        key_columns=["order_id"],
        required_columns=["order_id", "amount"],
        pseudonym_columns=["email_pseudonym"],
        ranges={"amount": (0, None)},
        accepted={"brand": ["National"]},
        ledger=("shop", "lines"),
        minimum_rows=1,
    )
    assert [(e.rule, e.column_name) for e in suite.expectations] == [
        ("expect_column_values_to_not_be_null", "order_id"),
        ("expect_column_values_to_not_be_null", "amount"),
        ("expect_column_values_to_not_be_null", "_file_id"),
        ("expect_column_values_to_not_be_null", "_row_number"),
        ("email_pseudonym_is_a_pseudonym", None),
        ("expect_column_values_to_be_between", "amount"),
        ("expect_column_values_to_be_in_set", "brand"),
        ("key_is_unique", None),
        ("rows_agree_with_the_ledger", None),
        ("expect_table_row_count_to_be_between", None),
    ]
    assert suite.expectations[5].kwargs == {"column": "amount", "min_value": 0}


def test_the_default_suite_refuses_names_it_would_have_to_quote() -> None:
    with pytest.raises(SuiteError, match="not a plain column name"):
        landing_suite("raw", "t", required_columns=['a"; drop table x; --'])


def test_suites_of_one_table_add_up() -> None:
    default = landing_suite("raw", "t", required_columns=["a"])
    written = Suite("landing", "raw", "t", landing_suite("raw", "t", minimum_rows=5).expectations)
    with pytest.raises(SuiteError, match="already for _file_id"):
        _ = default + written
    extra = Suite("landing", "raw", "t", written.expectations[-1:])
    assert len((default + extra).expectations) == len(default.expectations) + 1
    with pytest.raises(SuiteError, match="different tables"):
        _ = default + landing_suite("raw", "u")


def test_every_accepted_type_is_one_of_great_expectations() -> None:
    from great_expectations.expectations.registry import get_expectation_impl

    for kind, spec in KNOWN_TYPES.items():
        fields = get_expectation_impl(kind).__fields__
        assert spec.required | spec.optional <= set(fields), kind
