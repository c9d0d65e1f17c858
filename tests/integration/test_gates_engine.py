"""The gates inside DuckDB: planted faults are caught by name, column and count, and nothing leaks.

Every test writes a small clean warehouse by hand (no landing, no dbt), plants one fault, and asks
the real suites through the real engine.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import shutil
import socket
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from expectations import (
    Expectation,
    RuleResult,
    Suite,
    SuiteError,
    WarehouseUnavailableError,
    landing_suite,
    load_suites,
    run_suites,
)

CANARY = "jane.canary@example.org"
RAW_ROW_COUNT = 400

RAW_SUITE = landing_suite(
    "raw",
    "shop__lines",
    key_columns=["order_id", "line_number"],
    required_columns=["ordered_at", "amount"],
    pseudonym_columns=["email_pseudonym"],
    ranges={
        "amount": (0, 1000),
        "ordered_at": (date(2000, 1, 1), None),
        "updated_at": (datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    },
    accepted={"brand": ["National", "Private"]},
    ledger=("shop", "lines"),
    minimum_rows=1,
)

CLEAN_WAREHOUSE = f"""
create schema raw; create schema quality; create schema core; create schema marts;
create schema ml;
create table raw.as_of as
    select date '2024-12-31' as as_of_date, 'America/New_York' as business_zone, 'USD' as currency;
create table raw.shop__lines as
    select i // 2 as order_id, i % 2 as line_number, (i % 50)::decimal(18, 4) as amount,
        timestamp '2024-01-01' + to_days((i % 300)::integer) as ordered_at,
        timestamp '2024-01-01' as updated_at,
        case when i % 3 = 0 then 'National' else 'Private' end as brand,
        case when i % 7 > 0 then sha256(i::varchar) end as email_pseudonym,
        sha256('file' || i % 2) as _file_id, i as _row_number
    from range({RAW_ROW_COUNT}) as t(i);
create table quality.load_ledger as
    select 'shop' as source, 'lines' as entity, 'lines_' || i || '.csv' as file_name,
        sha256('file' || i) as file_id, 1000::bigint as size_bytes, 'loaded' as status,
        null::varchar as reason, null::varchar as note,
        {RAW_ROW_COUNT // 2 + 2}::bigint as rows_read,
        {RAW_ROW_COUNT // 2}::bigint as rows_loaded, 2::bigint as rows_quarantined,
        'v1' as declaration_version, i as load_order, timestamp '2025-01-01' as loaded_at
    from range(2) as t(i);
create table quality.quarantine as
    select source, entity, file_name, file_id, j as line, 'amount' as column_name,
        'wrong_type' as reason, null::varchar as detail, 1::bigint as row_count,
        null::varchar as row_json
    from quality.load_ledger, range(2) as t(j);
create table core.dim_customers as
    select 'c' || i as customer_id, date '2023-01-01' as first_order_date, 5 as order_count
    from range(250) as t(i);
create table core.dim_products as
    select 'p' || i as product_id, 'department ' || i // 3 as department from range(6) as t(i);
create table marts.mart_product_purchases as
    with customers as (
        select customer_id, row_number() over (order by customer_id) - 1 as customer_number
        from core.dim_customers
    ), products as (
        select product_id, row_number() over (order by product_id) - 1 as product_number
        from core.dim_products
    )
    select customer_id, customer_number, product_id, product_number, date '2024-12-01' as order_date
    from customers cross join products where product_number < 3;
create table marts.mart_customer_rfm as
    with base as (
        select customer_id, row_number() over (order by length(customer_id), customer_id) - 1 as i
        from core.dim_customers
    ), measured as (
        select customer_id, i * 2 as recency_days,
            case when i * 2 < 365 then 1 + (249 - i) // 10 else 0 end as frequency
        from base
    ), money as (
        select *, (frequency * 20)::decimal(18, 2) as monetary_amount from measured
    ), scored as (
        select *, case when recency_days < 100 then 5 when recency_days < 200 then 4
            when recency_days < 300 then 3 when recency_days < 400 then 2 else 1 end
            as recency_score,
            case when frequency > 20 then 5 when frequency > 15 then 4 when frequency > 10 then 3
            when frequency > 5 then 2 else 1 end as frequency_score
        from money
    )
    select customer_id, date '2024-12-31' as as_of_date, recency_days, frequency,
        monetary_amount, 'USD' as currency, recency_score, frequency_score,
        frequency_score as monetary_score,
        concat(recency_score, frequency_score, frequency_score) as rfm_score,
        case recency_score when 5 then 'champions' when 1 then 'hibernating' else 'at risk' end
            as rfm_segment
    from scored;
create table marts.mart_customer_features as
    select customer_id, date '2024-12-31' - (28 * s)::integer as as_of_date, recency_days,
        recency_days + 30 as tenure_days,
        (recency_days < 7)::integer as order_count_7d,
        (recency_days < 28)::integer * 2 as order_count_28d,
        (recency_days < 90)::integer * 3 as order_count_90d,
        (recency_days < 365)::integer * 4 as order_count_365d,
        (recency_days < 28)::integer * 20.0 as spend_amount_28d,
        (recency_days < 90)::integer * 30.0 as spend_amount_90d,
        (recency_days < 365)::integer * 40.0 as spend_amount_365d,
        0 as order_count_prior_28d, 0 as order_count_prior_90d, 0 as return_count_365d,
        3 as active_week_count_90d, 9 as active_week_count_365d, 4 as distinct_product_count_90d,
        2 as distinct_department_count_90d, 1 as store_count_90d,
        0 as coupon_redemption_count_90d, 0 as campaign_contact_count_90d,
        case when recency_days < 90 then 0.25::double end as weekend_share_90d,
        case when recency_days < 90 then 0.1 end as discount_share_90d
    from marts.mart_customer_rfm, range(4) as t(s);
create table marts.mart_churn_labels as
    select customer_id, as_of_date, as_of_date + 28 as label_until_date,
        recency_days > 200 as is_churned
    from marts.mart_customer_features where as_of_date + 28 <= date '2024-12-31';
create table ml.model_runs as
    select * from (values ('run-kmeans', 'kmeans'), ('run-churn', 'churn'), ('run-next', 'next'),
        ('run-value', 'value')) as t(model_run_id, model_name);
create table ml.model_refusals (model_name varchar, as_of_date date, reason varchar);
create table ml.cluster_assignments as
    select customer_id, as_of_date, 'run-kmeans' as model_run_id,
        (recency_score % 3)::integer as cluster_id, 'cluster ' || recency_score % 3 as cluster_name,
        recency_days::double as map_x, frequency::double as map_y, 0.0::double as map_z
    from marts.mart_customer_rfm;
create table ml.churn_scores as
    select customer_id, as_of_date, 'run-churn' as model_run_id,
        recency_days / 500.0 as churn_score
    from marts.mart_customer_rfm;
create table ml.lifetime_values as
    select customer_id, as_of_date, 28 as horizon_days, 'run-value' as model_run_id,
        1.0 as expected_order_count, frequency * 0.3 as expected_value_amount,
        1.0 as floor_value_amount, 1 + recency_days // 50 as value_decile
    from marts.mart_customer_rfm;
create table ml.recommendations as
    select customer_id, date '2024-12-31' as as_of_date, 'run-next' as model_run_id,
        if(place < 3, 'repeat', 'cross_sell') as kind, (1 + place % 3)::integer as rank,
        'p' || place as product_id, 0.5 as score, 'bought together' as reason
    from core.dim_customers, range(6) as t(place);
create table ml.category_propensity as
    select customer_id, date '2024-12-31' as as_of_date, 'run-next' as model_run_id,
        'department ' || place as department, 0.5 as purchase_score
    from core.dim_customers, range(2) as t(place);
create table ml.campaign_responses as
    select customer_id, as_of_date, 'run-next' as model_run_id,
        recency_days / 500.0 as response_score
    from marts.mart_customer_rfm;
"""


@pytest.fixture(scope="module")
def clean_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clean") / "warehouse.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(CLEAN_WAREHOUSE)
    return path


@pytest.fixture
def warehouse(tmp_path: Path, clean_file: Path) -> Path:
    return Path(shutil.copy(clean_file, tmp_path / "warehouse.duckdb"))


def change(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as con:
        for statement in statements:
            con.execute(statement)


def all_suites() -> list[Suite]:
    return [RAW_SUITE, *load_suites()]


def failures(path: Path, suites: list[Suite] | None = None) -> dict[tuple, RuleResult]:
    results = run_suites(path, all_suites() if suites is None else suites)
    return {(r.table_name, r.rule, r.column_name): r for r in results if not r.is_success}


def suites_of(table: str) -> list[Suite]:
    return [suite for suite in all_suites() if suite.table == table]


def test_clean_data_passes_every_rule_in_the_suites_order(warehouse: Path) -> None:
    suites = all_suites()
    results = run_suites(warehouse, suites)
    assert {r.rule: r.details for r in results if not r.is_success} == {}
    assert [(r.gate, r.table_schema, r.table_name, r.rule, r.description) for r in results] == [
        (s.gate, s.schema, s.table, e.rule, e.description) for s in suites for e in s.expectations
    ]
    not_null = next(r for r in results if r.column_name == "amount")
    assert (not_null.unexpected_count, not_null.element_count) == (0, RAW_ROW_COUNT)


RFM, FEATURES, LABELS = "mart_customer_rfm", "mart_customer_features", "mart_churn_labels"
VALUES, OFFERS, DEPARTMENTS = "lifetime_values", "recommendations", "category_propensity"
PURCHASES, RESPONSES = "mart_product_purchases", "campaign_responses"
CLUSTERS, SCORES, LEDGER = "cluster_assignments", "churn_scores", "load_ledger"
NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"
COMPOUND = "expect_compound_columns_to_be_unique"
KEY = "customer_id, as_of_date"

FAULTS = [
    # raw table
    ("shop__lines", "update {t} set amount = null where order_id < 3", NOT_NULL, "amount", 6),
    ("shop__lines", "update {t} set amount = 5000 where order_id < 2", BETWEEN, "amount", 4),
    (
        "shop__lines",
        "update {t} set ordered_at = timestamp '1899-12-31' where order_id = 7",
        BETWEEN,
        "ordered_at",
        2,
    ),
    (
        "shop__lines",
        "update {t} set brand = 'national ' where order_id = 7",
        "expect_column_values_to_be_in_set",
        "brand",
        2,
    ),
    (
        "shop__lines",
        f"update {{t}} set email_pseudonym = '{CANARY}' where order_id = 9",
        "email_pseudonym_is_a_pseudonym",
        None,
        2,
    ),
    ("shop__lines", "update {t} set order_id = 1 where order_id = 2", "key_is_unique", None, 2),
    ("shop__lines", "delete from {t} where order_id = 2", "rows_agree_with_the_ledger", None, 2),
    # the row account
    (
        LEDGER,
        "update {t} set rows_loaded = rows_loaded - 1 where load_order = 0",
        "rows_read_are_loaded_or_quarantined",
        None,
        1,
    ),
    (
        LEDGER,
        "delete from quality.quarantine where line = 0",
        "quarantine_holds_every_row_counted",
        None,
        2,
    ),
    (
        LEDGER,
        "update {t} set status = 'refused', reason = 'truncated_file' where load_order = 0",
        "refused_files_load_nothing",
        None,
        1,
    ),
    (
        LEDGER,
        "insert into {t} by name select 'broken' as source, 'e' as entity, 'f' || i as file_id, "
        "'refused' as status, 'empty_file' as reason, 0 as rows_read, 0 as rows_loaded, "
        "0 as rows_quarantined from range(10) as t(i)",
        "refused_files_are_the_exception",
        None,
        1,
    ),
    (
        LEDGER,
        "update {t} set rows_quarantined = 60, rows_read = rows_loaded + 60 where load_order = 0; "
        "update quality.quarantine set row_count = 30 "
        "where file_id = (select file_id from {t} where load_order = 0)",
        "quarantined_rows_are_the_exception",
        None,
        1,
    ),
    (
        LEDGER,
        "update {t} set rows_quarantined = 300, rows_read = rows_loaded + 300 "
        "where load_order = 1; update quality.quarantine set row_count = 150 "
        "where file_id = (select file_id from {t} where load_order = 1)",
        "latest_file_was_mostly_usable",
        None,
        1,
    ),
    ("as_of", "insert into {t} from {t}", "expect_table_row_count_to_equal", None, None),
    # RFM
    (RFM, "insert into {t} from {t} limit 3", COMPOUND, KEY, 6),
    (
        RFM,
        "delete from {t} where recency_days < 100",
        "nearly_every_customer_is_scored_today",
        None,
        50,
    ),
    (
        RFM,
        "update {t} set rfm_segment = null where recency_days < 10",
        "every_column_is_filled",
        None,
        5,
    ),
    (
        RFM,
        "update {t} set as_of_date = date '2025-01-01' where recency_days < 10",
        "nothing_is_scored_after_today",
        None,
        5,
    ),
    (
        RFM,
        "update {t} set customer_id = 'ghost' where recency_days = 0",
        "only_known_customers_are_scored",
        None,
        1,
    ),
    (RFM, "update {t} set recency_days = -1 where recency_days = 0", BETWEEN, "recency_days", 1),
    (
        RFM,
        "update {t} set frequency = 0 where recency_days = 0",
        "recency_and_frequency_agree",
        None,
        1,
    ),
    (
        RFM,
        "update {t} set monetary_amount = 5 where recency_days = 400",
        "money_needs_orders",
        None,
        1,
    ),
    (
        RFM,
        "update {t} set monetary_amount = -monetary_amount",
        "monetary_amount_is_rarely_negative",
        "monetary_amount",
        183,
    ),
    (
        RFM,
        "update {t} set monetary_amount = 1000000 where recency_days = 0",
        "no_customer_is_half_of_the_revenue",
        None,
        1,
    ),
    (
        RFM,
        "update {t} set currency = 'EUR' where recency_days = 0",
        "currency_is_the_business_currency",
        None,
        1,
    ),
    (RFM, "update {t} set monetary_score = 6 where recency_days = 0", BETWEEN, "monetary_score", 1),
    (
        RFM,
        "update {t} set rfm_score = '111' where recency_days = 0",
        "rfm_score_is_its_three_digits",
        None,
        1,
    ),
    (
        RFM,
        "update {t} set recency_score = 1 where recency_days = 0",
        "scores_follow_their_values",
        None,
        1,
    ),
    (
        RFM,
        "update {t} set rfm_segment = 'everybody'",
        "scores_make_several_segments",
        None,
        1,
    ),
    # features
    (FEATURES, "insert into {t} from {t} limit 3", "key_is_unique", None, 3),
    (
        FEATURES,
        "update {t} set tenure_days = null where recency_days = 0",
        NOT_NULL,
        "tenure_days",
        4,
    ),
    (
        FEATURES,
        "update {t} set as_of_date = as_of_date + 1 where as_of_date = date '2024-12-03'",
        "snapshots_stand_on_the_28_day_grid",
        None,
        1,
    ),
    (
        FEATURES,
        "delete from {t} where recency_days < 10 and as_of_date = date '2024-12-31'",
        "today_has_a_snapshot_of_every_scored_customer",
        None,
        5,
    ),
    (
        FEATURES,
        "update {t} set store_count_90d = -1 where recency_days = 0",
        "counts_are_not_negative",
        None,
        4,
    ),
    (
        FEATURES,
        "update {t} set order_count_28d = 99 where recency_days = 0",
        "longer_windows_hold_shorter_ones",
        None,
        4,
    ),
    (
        FEATURES,
        "update {t} set order_count_28d = 1 where recency_days = 30",
        "recency_agrees_with_the_windows",
        None,
        4,
    ),
    (
        FEATURES,
        "update {t} set weekend_share_90d = 25 where recency_days = 0",
        BETWEEN,
        "weekend_share_90d",
        4,
    ),
    # labels
    (LABELS, "insert into {t} from {t} limit 3", "key_is_unique", None, 3),
    (
        LABELS,
        "insert into {t} select customer_id, as_of_date, as_of_date + 28, false "
        "from marts.mart_customer_features where as_of_date = date '2024-12-31'",
        "label_window_is_28_days_and_over",
        None,
        250,
    ),
    (
        LABELS,
        "update {t} set customer_id = 'ghost' where customer_id = 'c1'",
        "every_label_has_its_features",
        None,
        3,
    ),
    (LABELS, "delete from {t} where is_churned", "every_finished_snapshot_is_labelled", None, 447),
    (LABELS, "update {t} set is_churned = false", "both_outcomes_occur", None, 1),
    # clusters
    (CLUSTERS, "insert into {t} from {t} limit 3", COMPOUND, KEY, 6),
    (CLUSTERS, "update {t} set map_x = 'nan' where map_x < 10", "every_column_is_filled", None, 5),
    (
        CLUSTERS,
        "delete from {t} where map_x < 10",
        "every_customer_of_the_mart_is_assigned_today",
        None,
        5,
    ),
    (CLUSTERS, "delete from {t}", "every_customer_of_the_mart_is_assigned_today", None, 250),
    (
        CLUSTERS,
        "update {t} set model_run_id = 'run-churn' where map_x < 10",
        "one_model_run_a_day",
        None,
        1,
    ),
    (CLUSTERS, "update {t} set model_run_id = 'unknown'", "model_run_is_recorded", None, 1),
    (
        CLUSTERS,
        "update {t} set cluster_id = 0, cluster_name = 'all'",
        "clusters_have_plausible_sizes",
        None,
        1,
    ),
    (
        CLUSTERS,
        "update {t} set cluster_name = 'other' where map_x < 10",
        "a_cluster_has_one_name",
        None,
        1,
    ),
    # churn scores
    (
        SCORES,
        "update {t} set churn_score = null where churn_score < 0.01",
        NOT_NULL,
        "churn_score",
        3,
    ),
    (
        SCORES,
        "update {t} set churn_score = 1.5 where churn_score < 0.01",
        BETWEEN,
        "churn_score",
        3,
    ),
    (
        SCORES,
        "alter table {t} alter churn_score type double; "
        "update {t} set churn_score = 'nan' where churn_score < 0.01",
        BETWEEN,
        "churn_score",
        3,
    ),
    (
        SCORES,
        "update {t} set customer_id = 'ghost' where customer_id = 'c1'",
        "every_scored_customer_has_features_that_day",
        None,
        2,
    ),
    (SCORES, "delete from {t}", "every_scored_customer_has_features_that_day", None, 250),
    (SCORES, "update {t} set churn_score = 0.4", "scores_tell_customers_apart", None, 1),
    (
        SCORES,
        "update {t} set churn_score = 0.99 + churn_score / 100",
        "scores_are_near_what_happened",
        None,
        1,
    ),
    # lifetime values
    (
        VALUES,
        "update {t} set expected_value_amount = -1 where value_decile = 1",
        "expectations_are_amounts",
        None,
        25,
    ),
    (
        VALUES,
        "delete from {t} where value_decile = 1",
        "everybody_of_today_or_nobody",
        None,
        25,
    ),
    (
        VALUES,
        "update {t} set expected_value_amount = expected_value_amount * 100",
        "totals_are_near_what_was_spent_before",
        None,
        1,
    ),
    (
        VALUES,
        "update {t} set expected_value_amount = 7",
        "expectations_tell_customers_apart",
        None,
        1,
    ),
    # next products and departments
    (OFFERS, "delete from {t} where rank = 2", "ranks_have_no_gap", None, 500),
    (
        OFFERS,
        "update {t} set product_id = 'gone' where product_id = 'p4'",
        "every_product_is_known",
        None,
        1,
    ),
    (
        OFFERS,
        "update {t} set kind = 'repeat', rank = 4 where product_id = 'p3'",
        "a_repeat_was_bought_and_a_cross_sell_was_not",
        None,
        250,
    ),
    (OFFERS, "update {t} set reason = ' ' where rank = 1", "every_column_is_filled", None, 500),
    (
        DEPARTMENTS,
        "delete from {t} where customer_id = 'c1' and department = 'department 1'",
        "every_customer_is_scored_for_every_department",
        None,
        1,
    ),
    (
        DEPARTMENTS,
        "update {t} set department = 'none' where department = 'department 1'",
        "every_department_is_known",
        None,
        1,
    ),
    (
        RESPONSES,
        "update {t} set response_score = 1.5 where response_score < 0.01",
        BETWEEN,
        "response_score",
        3,
    ),
    (
        RESPONSES,
        "delete from {t} where customer_id = 'c1'",
        "every_customer_is_scored_or_none",
        None,
        1,
    ),
    (
        PURCHASES,
        "update {t} set customer_number = customer_number + 1",
        "numbers_are_places_in_the_lists",
        None,
        250,
    ),
    (
        PURCHASES,
        "update {t} set order_date = date '2025-01-01' where product_number = 0",
        "no_purchase_is_from_after_today",
        None,
        250,
    ),
]


@pytest.mark.parametrize(
    ("table", "fault", "rule", "column", "count"),
    FAULTS,
    ids=[f"{n}-{fault[0]}-{fault[2]}" for n, fault in enumerate(FAULTS)],
)
def test_a_planted_fault_is_named_with_its_column_and_count(
    warehouse: Path, table: str, fault: str, rule: str, column: str | None, count: int | None
) -> None:
    [suite] = suites_of(table)
    change(warehouse, fault.format(t=f"{suite.schema}.{table}"))
    failed = failures(warehouse, [suite])
    assert (table, rule, column) in failed, sorted(failed)
    assert failed[table, rule, column].unexpected_count == count
    assert "could not be checked" not in "".join(r.details for r in failed.values())


def test_an_empty_table_fails_on_its_size_and_breaks_nothing(warehouse: Path) -> None:
    change(warehouse, "delete from marts.mart_customer_rfm", "delete from raw.shop__lines")
    failed = failures(warehouse, suites_of("mart_customer_rfm"))
    size = failed["mart_customer_rfm", "expect_table_row_count_to_be_between", None]
    assert size.observed_value == "0"
    assert ("mart_customer_rfm", "nearly_every_customer_is_scored_today", None) in failed
    assert not any("could not be checked" in r.details for r in failed.values())
    optional = landing_suite("raw", "shop__lines", key_columns=["order_id", "line_number"])
    assert failures(warehouse, [optional]) == {}


@pytest.mark.parametrize("table", ["churn_scores", "cluster_assignments"])
def test_nobody_is_scored_only_where_the_model_was_refused_by_name(
    warehouse: Path, table: str
) -> None:
    refusal = "insert into ml.model_refusals values ('{}', date '{}', 'not enough history')"
    change(
        warehouse,
        f"delete from ml.{table}",
        refusal.format("another_model", "2024-12-31"),
        refusal.format(table, "2024-12-30"),
    )
    assert len(failures(warehouse, suites_of(table))) == 1
    change(warehouse, refusal.format(table, "2024-12-31"))
    assert failures(warehouse, suites_of(table)) == {}


def test_a_missing_table_or_column_fails_its_rules_and_only_these(warehouse: Path) -> None:
    change(
        warehouse,
        "drop table ml.churn_scores",
        "alter table marts.mart_churn_labels drop column is_churned",
    )
    results = run_suites(warehouse, all_suites())
    scores = [r for r in results if r.table_name == "churn_scores"]
    assert scores
    assert not any(r.is_success for r in scores)
    assert "The table ml.churn_scores does not exist" in scores[0].details
    labels = {r.rule: r for r in results if r.table_name == LABELS}
    assert not labels[NOT_NULL].is_success
    assert "has no column is_churned" in labels[NOT_NULL].details
    assert not labels["both_outcomes_occur"].is_success
    assert "is_churned" in labels["both_outcomes_occur"].details
    others = [r for r in results if r.table_name != "churn_scores" and not r.is_success]
    assert {r.rule for r in others} == {NOT_NULL, "both_outcomes_occur"}


def plant_canaries(path: Path) -> Suite:
    """A raw table full of a personal value, and rules that trip over it in every way there is."""
    change(
        path,
        "alter table raw.shop__lines alter email_pseudonym type varchar",
        f"update raw.shop__lines set brand = '{CANARY}', email_pseudonym = '{CANARY}'",
    )
    text = "A rule that meets a personal value on its way."

    def rule(kind: str, name: str, **kwargs: object) -> Expectation:
        return Expectation(type=kind, kwargs=kwargs, description=text, rule=name)

    cast = "select cast(brand as integer) as b from {batch} where cast(brand as integer) > 0"
    own = (
        rule("expect_column_values_to_be_unique", "unique", column="brand"),
        rule("expect_column_values_to_be_in_set", "in_set", column="brand", value_set=["x"]),
        rule("expect_column_values_to_be_null", "null", column="brand"),
        rule("expect_column_value_lengths_to_equal", "length", column="brand", value=1),
        rule("expect_column_max_to_be_between", "max", column="brand", max_value=5),
        rule("expect_column_values_to_be_between", "between", column="brand", max_value=5),
        rule("expect_column_mean_to_be_between", "mean", column="brand", max_value=1),
        rule("expect_compound_columns_to_be_unique", "pair", column_list=["brand", "amount"]),
        rule("unexpected_rows_expectation", "rows", unexpected_rows_query="select * from {batch}"),
        rule("unexpected_rows_expectation", "cast", unexpected_rows_query=cast),
    )
    return dataclasses.replace(RAW_SUITE, expectations=RAW_SUITE.expectations + own)


def test_no_raw_value_leaves_the_engine(
    warehouse: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    suite = plant_canaries(warehouse)
    with caplog.at_level(logging.DEBUG):
        results = run_suites(warehouse, [suite])
    by_rule = {r.rule: r for r in results}
    assert not by_rule["rows"].is_success
    assert by_rule["rows"].unexpected_count == RAW_ROW_COUNT
    # One failing query must neither pass nor take the other rules with it.
    assert not by_rule["cast"].is_success
    assert "ConversionException (its text is withheld" in by_rule["cast"].details
    assert not by_rule["mean"].is_success
    assert "could not be checked" in by_rule["mean"].details
    assert by_rule["in_set"].unexpected_count == RAW_ROW_COUNT
    amount = next(r for r in results if r.rule == NOT_NULL and r.column_name == "amount")
    assert amount.is_success
    printed = capfd.readouterr()
    everything = f"{results!r} {[dataclasses.asdict(r) for r in results]} {caplog.text}"
    assert "jane" not in everything + printed.out + printed.err
    assert printed.out == ""
    assert printed.err == ""


def test_write_and_gate_take_turns_in_one_process(warehouse: Path) -> None:
    """Landing → gate → dbt-like write → gate → read, all on one file in one process."""
    landing, marts = load_suites("landing"), load_suites("marts")
    change(warehouse, "create table raw.probe as select 1 as i")
    assert all(r.is_success for r in run_suites(warehouse, landing))
    with duckdb.connect(str(warehouse), config={"threads": 2}) as con:
        con.execute("create or replace table marts.probe as select * from marts.mart_churn_labels")
        con.execute("insert into marts.mart_churn_labels from marts.mart_churn_labels limit 1")
    failed = [r.rule for r in run_suites(warehouse, marts) if not r.is_success]
    assert failed == ["key_is_unique"]
    change(warehouse, "drop table marts.probe")
    with duckdb.connect(str(warehouse), read_only=True) as con:
        assert con.execute("select count(*) from raw.probe").fetchall() == [(1,)]


def test_a_gate_reads_what_a_killed_writer_left_in_the_log(warehouse: Path) -> None:
    con = duckdb.connect(str(warehouse))
    con.execute("set checkpoint_threshold = '1GB'")
    con.execute("update ml.churn_scores set churn_score = null where customer_id = 'c1'")
    # A copy taken beside the open writer is what a kill leaves: a file and its write-ahead log.
    left = warehouse.with_name("left.duckdb")
    left.write_bytes(warehouse.read_bytes())
    wal = Path(f"{warehouse}.wal")
    assert wal.exists()
    Path(f"{left}.wal").write_bytes(wal.read_bytes())
    con.close()
    assert ("churn_scores", NOT_NULL, "churn_score") in failures(left, suites_of("churn_scores"))
    change(left, "create table raw.after as select 1 as i")


def test_an_unusable_warehouse_raises_and_never_passes(tmp_path: Path, warehouse: Path) -> None:
    suites = list(load_suites("ml"))
    with pytest.raises(WarehouseUnavailableError, match="no warehouse file"):
        run_suites(tmp_path / "nowhere.duckdb", suites)
    junk = tmp_path / "junk.duckdb"
    junk.write_text("not a database" * 1000)
    with pytest.raises(WarehouseUnavailableError, match="cannot be opened"):
        run_suites(junk, suites)
    with duckdb.connect(str(warehouse)), pytest.raises(WarehouseUnavailableError):
        run_suites(warehouse, suites)
    assert all(r.is_success for r in run_suites(warehouse, suites))
    assert run_suites(tmp_path / "nowhere.duckdb", []) == []


def test_a_value_that_great_expectations_refuses_names_the_rule(warehouse: Path) -> None:
    suite = landing_suite("raw", "shop__lines", ranges={"amount": ("much", None)})
    with pytest.raises(SuiteError, match=r"landing/raw.shop__lines, rule expect_column_values_to"):
        run_suites(warehouse, [suite])
    change(warehouse, "create table raw.after as select 1 as i")


def test_a_process_that_ran_a_gate_ends_in_silence(warehouse: Path) -> None:
    code = (
        "import sys, expectations as e; "
        "assert all(r.is_success for r in e.run_suites(sys.argv[1], e.load_suites('ml')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(warehouse)], capture_output=True, check=True, text=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_path_may_hold_blanks_dollars_and_hangul(tmp_path: Path, warehouse: Path) -> None:
    odd = tmp_path / "고객 $HOME 100% #1"
    odd.mkdir()
    path = odd / "ware house?.duckdb"
    path.write_bytes(warehouse.read_bytes())
    assert all(r.is_success for r in run_suites(path, load_suites("ml")))


def test_a_gate_needs_no_network(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a gate opened a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert all(r.is_success for r in run_suites(warehouse, load_suites("ml")))


def test_the_queries_stay_few(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules on columns share bundled scans: the number of queries must not grow with the rules."""
    from expectations.duckdb_backend import DuckDBExecutionEngine

    asked: list[str] = []
    execute = DuckDBExecutionEngine.execute_query

    def counted(self: DuckDBExecutionEngine, query: object) -> object:
        asked.append(" ".join(str(query).split()))
        return execute(self, query)

    monkeypatch.setattr(DuckDBExecutionEngine, "execute_query", counted)
    run_suites(warehouse, [RAW_SUITE])
    scans = [sql for sql in asked if "LIMIT" not in sql and "duckdb_columns" not in sql]
    sql_rules = [e for e in RAW_SUITE.expectations if e.type == "unexpected_rows_expectation"]
    assert len(scans) <= len(sql_rules) + 2, scans


def test_observed_values_are_numbers_as_text(warehouse: Path) -> None:
    results = run_suites(warehouse, all_suites())
    observed = [r.observed_value for r in results if r.observed_value is not None]
    assert observed
    assert all(math.isfinite(float(value)) for value in observed)
