"""The how-to "add a source", followed with a made-up shop: YAML and SQL, no Python."""

import shutil
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from pipeline import run

from dagster_project.refresh import RefreshError, summary
from dagster_project.resources import warehouse_of
from dagster_project.settings import PROJECT_DIR, Settings
from dagster_project.why import UnexplainedError, explain, find
from landing.declarations import read_declarations
from landing.pseudonyms import parse_key

SHOP = PROJECT_DIR / "tests" / "fixtures" / "corner_shop"
INTERMEDIATE = Path("dbt/models/intermediate")
# A union's file → the line that the new source's line is put after.
UNIONS = {
    "orders/int_orders__lines_unioned.sql": "ref('stg_complete_journey__order_lines'),",
    "identity/int_identity__sightings_unioned.sql": "ref('stg_demo__identifier_sightings'),",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project with the shop added to it, run before its files came and when they had come."""
    root = tmp_path_factory.mktemp("project")
    files = ("sources.yml", "identity.yml", "features.yml", "segments.yml", "dagster.yaml")
    for name in ("dbt", *files):
        copy = shutil.copytree if (PROJECT_DIR / name).is_dir() else shutil.copyfile
        copy(PROJECT_DIR / name, root / name)

    with (root / "sources.yml").open("a") as declarations:
        declarations.write("\n" + (SHOP / "source.yml").read_text())
    shutil.copytree(SHOP / "staging", root / "dbt/models/staging/corner_shop")
    for name, line in UNIONS.items():
        union = (root / INTERMEDIATE / name).read_text()
        assert line in union
        model = line.split("'")[1].split("__")[1]
        added = f"{line}\n        ref('stg_corner_shop__{model}'),"
        (root / INTERMEDIATE / name).write_text(union.replace(line, added))

    settings = Settings(
        home=root / "home", project_dir=root, sources=("corner_shop",), pseudonym_key="ab" * 32
    )
    with pytest.raises(RefreshError, match=r"which day it is.*corner_shop/export_\*\.csv"):
        run(settings)
    shutil.copytree(SHOP / "exports", settings.landing_dir / "corner_shop")
    run(settings)
    return settings


def test_a_handful_of_customers_gets_segments_by_rule_and_hears_what_is_missing(
    shop: Settings,
) -> None:
    sizes = dict(
        warehouse_of(shop)
        .read("select segment_id, count(*) from segments.segment_membership group by all")
        .rows()
    )
    assert sizes["new_this_quarter"] == 4
    assert sum(size for name, size in sizes.items() if name.startswith("rfm_")) == 4
    told = summary(shop)
    # No model, no risk: 0% would be the promise that nobody leaves.
    assert next(line for line in told.splitlines() if line.startswith("New this")).endswith(" –")
    for model in ("churn_scores", "cluster_assignments", "lifetime_value_28d"):
        assert warehouse_of(shop).counts([f"ml.{model}"]).get(f"ml.{model}", 0) == 0
        assert f"{model}: not enough history: " in told
    assert "cluster_assignments: not enough history: 4 customers, 50 needed" in told
    assert (shop.reports_dir / "segment_report.html").stat().st_size > 100_000


def test_every_line_is_kept_or_quarantined_with_its_reason(shop: Settings) -> None:
    ledger = warehouse_of(shop).read("from quality.load_ledger order by file_name")
    assert ledger.select("rows_read", "rows_loaded", "rows_quarantined").rows() == [
        (12, 9, 3),
        (7, 2, 5),
    ]
    assert ledger["note"][0] == "1 row(s) without their phone: not a usable phone"
    refused = warehouse_of(shop).read("from quality.quarantine order by file_name, line")
    assert refused.select("line", "column_name", "reason").rows() == [
        (9, "quantity", "wrong_type"),
        (12, "invoice_date", "bad_time"),
        (13, "invoice_no", "missing_value"),
        (2, None, "duplicate"),
        (3, None, "duplicate"),
        (4, "invoice_date", "bad_time"),
        (5, "invoice_no", "missing_value"),
        (7, None, "wrong_column_count"),
    ]


def test_the_shops_orders_reach_the_facts(shop: Settings) -> None:
    orders = warehouse_of(shop).read("from core.fct_orders order by order_id")
    assert orders.select("source_order_id", "line_count", "net_amount", "is_return").rows() == [
        ("536365", 2, Decimal("30.6000"), False),  # a repeated line is two lines
        ("536366", 1, Decimal("3.7000"), False),
        ("536368", 1, Decimal("18.0000"), False),
        ("536369", 1, Decimal("0.0000"), False),
        ("536370", 1, Decimal("-11.0600"), False),
        ("536372", 1, Decimal("5.5500"), False),
        ("536373", 1, Decimal("13.5600"), False),
        ("536375", 1, Decimal("22.2000"), False),
        ("536377", 1, Decimal("6.7800"), False),
        ("C536367", 1, Decimal("-3.7000"), True),
    ]
    without_customer = orders.filter(pl.col("customer_key").is_null())["source_order_id"].to_list()
    assert without_customer == ["536368", "536370"]
    # "Anna@Cedarhill.co.uk" and "anna@cedarhill.co.uk " are one person.
    buyer = pl.col("source_order_id").is_in(["536365", "536366", "536377"])
    assert orders.filter(buyer)["customer_id"].n_unique() == 1
    rfm = warehouse_of(shop).read("from marts.mart_customer_rfm order by monetary_amount")
    assert rfm.select("frequency", "monetary_amount").rows() == [
        (1, Decimal("5.5500")),
        (1, Decimal("13.5600")),
        (1, Decimal("22.2000")),
        (3, Decimal("37.3800")),
    ]


def test_email_and_phone_of_one_invoice_are_one_person(shop: Settings) -> None:
    people = warehouse_of(shop).read(
        """
        select string_agg(identifier_type, '+' order by identifier_type) as identifiers
        from identity.person_identifiers group by person_id order by identifiers
        """
    )
    assert people["identifiers"].to_list() == ["email", "email", "email+phone", "email+phone"]


def test_why_tells_the_links_between_two_identifiers(shop: Settings) -> None:
    told = why(shop, "email=ANNA@cedarhill.co.uk", "phone=+44 20 7946 0018")
    assert "email" in told
    assert "first seen in corner_shop.invoice_lines:536365" in told
    anna = "email=anna@cedarhill.co.uk"
    assert "They are two people" in why(shop, anna, "email=bob@cedarhill.co.uk")
    with pytest.raises(UnexplainedError, match="No record that was stitched shows this email"):
        why(shop, anna, "email=nobody@cedarhill.co.uk")


def why(settings: Settings, *ends: str) -> str:
    declarations = read_declarations(settings.sources_file)
    key = parse_key(settings.pseudonym_key)
    warehouse = warehouse_of(settings)
    return explain(*(find(end, warehouse, declarations, key) for end in ends), warehouse)


def test_a_file_delivered_again_changes_nothing(shop: Settings) -> None:
    folder = shop.landing_dir / "corner_shop"
    shutil.copyfile(folder / "export_2010-12-03.csv", folder / "export_2010-12-04.csv")
    before = warehouse_of(shop).read("quality.load_ledger")
    run(shop)
    assert warehouse_of(shop).read("quality.load_ledger").equals(before)


@pytest.mark.parametrize("canary", ["anna@cedarhill.co.uk", "442079460018", "Anna@Cedarhill.co.uk"])
def test_no_email_or_phone_is_outside_landing_and_vault(shop: Settings, canary: str) -> None:
    leaks = [
        path.name
        for path in shop.home.rglob("*")
        if path.is_file() and shop.landing_dir not in path.parents and path != shop.vault_path
        if canary.encode() in path.read_bytes()
    ]
    assert leaks == []
    assert shop.vault_path.stat().st_size > 0
