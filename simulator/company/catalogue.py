"""What is one for the whole company: its products, campaigns and kiosks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from simulator.company.names import PROVINCES
from simulator.company.plan import History, Plan

# department: ((category, product types…)…), price in dollars of the middle product
_DEPARTMENTS = {
    "FOOD": (
        (
            ("snacks", "crackers cookies nuts"),
            ("drinks", "coffee tea juice"),
            ("noodles", "ramen udon pasta"),
        ),
        6,
    ),
    "BEAUTY": (
        (
            ("skin care", "toner cream serum"),
            ("make-up", "cushion lipstick"),
            ("hair", "shampoo treatment"),
        ),
        22,
    ),
    "FASHION": (
        (
            ("tops", "t-shirt shirt knit"),
            ("bottoms", "jeans slacks"),
            ("shoes", "sneakers loafers"),
        ),
        38,
    ),
    "LIVING": (
        (
            ("kitchen", "pan knife tumbler"),
            ("bedding", "pillow blanket"),
            ("cleaning", "detergent mop"),
        ),
        17,
    ),
    "KIDS": ((("toys", "blocks doll puzzle"), ("baby", "wipes diapers")), 19),
    "ELECTRONICS": ((("audio", "earphones speaker"), ("accessories", "charger cable case")), 45),
}
_PRODUCTS = 400
STORES = 24


@dataclass(frozen=True)
class Catalogue:
    """Products and their chances to be bought, stores, campaigns and their seconds, kiosks."""

    products: pl.DataFrame
    popularity: np.ndarray
    price: np.ndarray
    stores: pl.DataFrame
    campaigns: pl.DataFrame
    campaign_at: np.ndarray
    kiosk_cookies: list[str]
    kiosk_devices: list[str]


def draw_catalogue(plan: Plan, history: History | None) -> Catalogue:
    """Draw what the whole company shares; the products of a given history are taken as they are."""
    rng = plan.company_stream()
    products = history.products if history else _products(rng)
    popularity = 1 / (rng.permutation(len(products)) + 8.0)
    campaigns = _campaigns(plan, rng)
    # Few, whatever the size of the company: one is used by a thousand people and more.
    count = min(12, max(1, plan.people // 10_000))
    return Catalogue(
        products=products,
        popularity=np.cumsum(popularity / popularity.sum()),
        price=products["price"].to_numpy().astype(float),
        stores=_stores(),
        campaigns=campaigns,
        campaign_at=campaigns["start_date"].to_numpy().astype("datetime64[s]").astype(np.int64)
        + 10 * 3600,
        kiosk_cookies=[f"kiosk{hex_id}" for hex_id in hex_ids(rng, count, 11)],
        kiosk_devices=[f"kiosk-{hex_id}" for hex_id in hex_ids(rng, count, 10)],
    )


def hex_ids(rng: np.random.Generator, count: int, length: int = 16) -> list[str]:
    """Random ids in hexadecimal, as browsers and devices get them."""
    return [f"{n:016x}"[:length] for n in rng.integers(0, 2**63, count).tolist()]


def _products(rng: np.random.Generator) -> pl.DataFrame:
    rows = []
    for number in range(_PRODUCTS):
        department = list(_DEPARTMENTS)[int(rng.integers(len(_DEPARTMENTS)))]
        categories, price = _DEPARTMENTS[department]
        category, types = categories[int(rng.integers(len(categories)))]
        type_ = str(rng.choice(types.split()))
        dollars = round(float(price * np.exp(rng.normal(0, 0.5))), 2)
        brand = "Private" if rng.random() < 0.3 else "National"
        rows.append((1001 + number, department, category, type_, brand, dollars))
    names = ["product_id", "department", "category", "product_type", "brand", "price"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _stores() -> pl.DataFrame:
    """The stores, spread over the provinces as people are; neighbours in number are near."""
    return pl.DataFrame(
        {
            "store_id": range(1, STORES + 1),
            "region": [PROVINCES[number * len(PROVINCES) // STORES] for number in range(STORES)],
        }
    )


def _campaigns(plan: Plan, rng: np.random.Generator) -> pl.DataFrame:
    """An e-mail and a push campaign a month, each for ten days."""
    rows = []
    for month in plan.months:
        for channel in ("email", "push"):
            begin = date.fromisoformat(f"{month}-01") + timedelta(days=int(rng.integers(2, 18)))
            begin = min(max(begin, plan.first_day), plan.last_day)
            type_ = str(rng.choice(["newsletter", "promotion", "win_back"]))
            rows.append((101 + len(rows), channel, type_, begin, begin + timedelta(days=9)))
    names = ["campaign_id", "channel", "campaign_type", "start_date", "end_date"]
    return pl.DataFrame(rows, schema=names, orient="row")
