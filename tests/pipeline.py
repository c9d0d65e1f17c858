"""The whole graph on a small part of the published data, for tests that need it made."""

import shutil
from dataclasses import replace
from pathlib import Path

from dagster_project.prepare import prepare_home
from dagster_project.refresh import refresh
from dagster_project.resources import export_environment
from dagster_project.settings import Settings
from simulator import complete_journey

# One household in ten: about 250 customers and 150,000 order lines.
HOUSEHOLD_MODULO = 10
# A household that only tests know; it must not be found outside the vault.
CANARY = "555666777888999"


def build(home: Path) -> Settings:
    """A state folder with everything made, the canary household's one purchase included."""
    settings = Settings(home=home, pseudonym_key="ab" * 32)
    complete_journey.export(settings.landing_dir, household_modulo=HOUSEHOLD_MODULO)
    add_purchases(settings, "transactions_2017-12-31b.csv", [{"household_id": CANARY}])
    run(settings)
    return settings


def run(settings: Settings, **overrides: object) -> int:
    """What `make run` does, in this process; returns how many tables were made."""
    export_environment(settings)
    prepare_home(settings)
    return refresh(settings, **overrides)


def copied(settings: Settings, home: Path) -> Settings:
    """The same state in a folder of its own, for a test that changes it."""
    shutil.copytree(settings.home, home)
    return replace(settings, home=home)


def add_purchases(settings: Settings, name: str, purchases: list[dict[str, object]]) -> None:
    """A till export in the landing folder; a purchase says what differs from the usual one."""
    folder = settings.landing_dir / "complete_journey"
    header = next(folder.glob("transactions_2017-01*.csv")).open().readline().strip()
    usual = {
        "household_id": 10,
        "store_id": 1,
        "basket_id": 99_000_000_001,
        "product_id": 1,
        "quantity": 1,
        "sales_value": "1.00",
        "retail_disc": "0.00",
        "coupon_disc": "0.00",
        "coupon_match_disc": "0.00",
        "week": 53,
        "transaction_timestamp": "2017-12-31 18:00:00",
    }
    lines = [
        ",".join(str((usual | purchase)[column]) for column in header.split(","))
        for purchase in purchases
    ]
    (folder / name).write_text("\n".join([header, *lines]) + "\n")
