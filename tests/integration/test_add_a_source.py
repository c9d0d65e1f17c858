"""The how-to "add a source", followed with a made-up shop: YAML and SQL, no Python."""

import shutil
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from pipeline import run

from dagster_project.refresh import RefreshError
from dagster_project.resources import warehouse_of
from dagster_project.settings import PROJECT_DIR, Settings

SHOP = PROJECT_DIR / "tests" / "fixtures" / "corner_shop"
UNION = Path("dbt/models/intermediate/orders/int_orders__lines_unioned.sql")
LAST_REF = "ref('stg_complete_journey__order_lines'),"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project with the shop added to it, run once."""
    root = tmp_path_factory.mktemp("project")
    for name in ("dbt", "sources.yml", "segments.yml", "dagster.yaml"):
        copy = shutil.copytree if (PROJECT_DIR / name).is_dir() else shutil.copyfile
        copy(PROJECT_DIR / name, root / name)

    with (root / "sources.yml").open("a") as declarations:
        declarations.write("\n" + (SHOP / "source.yml").read_text())
    shutil.copytree(SHOP / "staging", root / "dbt/models/staging/corner_shop")
    union = (root / UNION).read_text()
    assert LAST_REF in union
    added = f"{LAST_REF}\n        ref('stg_corner_shop__order_lines'),"
    (root / UNION).write_text(union.replace(LAST_REF, added))

    settings = Settings(
        home=root / "home", project_dir=root, sources=("corner_shop",), pseudonym_key="ab" * 32
    )
    shutil.copytree(SHOP / "exports", settings.landing_dir / "corner_shop")
    with pytest.raises(RefreshError, match="There are at least 30 customers"):
        run(settings)  # a handful of customers is too few to model, and the run says so
    return settings


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
    # "Anna@Example.com" and "anna@example.com " are one person.
    buyer = pl.col("source_order_id").is_in(["536365", "536366", "536377"])
    assert orders.filter(buyer)["customer_id"].n_unique() == 1
    rfm = warehouse_of(shop).read("from marts.mart_customer_rfm order by monetary_amount")
    assert rfm.select("frequency", "monetary_amount").rows() == [
        (1, Decimal("5.5500")),
        (1, Decimal("13.5600")),
        (1, Decimal("22.2000")),
        (3, Decimal("37.3800")),
    ]
    identifiers = warehouse_of(shop).read("identity.person_identifiers")
    assert identifiers["identifier_type"].unique().to_list() == ["email"]


def test_a_file_delivered_again_changes_nothing(shop: Settings) -> None:
    folder = shop.landing_dir / "corner_shop"
    shutil.copyfile(folder / "export_2010-12-03.csv", folder / "export_2010-12-04.csv")
    before = warehouse_of(shop).read("quality.load_ledger")
    with pytest.raises(RefreshError):
        run(shop)
    assert warehouse_of(shop).read("quality.load_ledger").equals(before)


@pytest.mark.parametrize("canary", ["anna@example.com", "442079460018", "Anna@Example.com"])
def test_no_email_or_phone_is_outside_landing_and_vault(shop: Settings, canary: str) -> None:
    leaks = [
        path.name
        for path in shop.home.rglob("*")
        if path.is_file() and shop.landing_dir not in path.parents and path != shop.vault_path
        if canary.encode() in path.read_bytes()
    ]
    assert leaks == []
    assert shop.vault_path.stat().st_size > 0
