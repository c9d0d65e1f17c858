"""What a made company is told: size, seed, period and how bad its data are.

Here belong the settings of a simulation and the random streams that follow from them. People come
in blocks of `BLOCK`; each block has random streams of its own, spawned from (seed, block), one a
topic, so that a block can be made without the ones before it and a change of one noise leaves
everything else as it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import polars as pl

BLOCK = 2_500
"""People in a block. Households, companies and recycled phones never reach beyond their block."""

DAY = 86_400
_TOPICS = ("people", "purchases", "crm", "web", "app", "mail", "text", "noise")


@dataclass(frozen=True)
class Noise:
    """How often the company's data are wrong, as shares; the defaults are a company as it is."""

    registered_twice: float = 0.12
    """Members that registered a second time with another e-mail, another phone, or both."""
    key_typo: float = 0.08
    """CRM rows with a typing error in one of their keys."""
    placeholder: float = 0.05
    """CRM rows with a placeholder or test value instead of an e-mail or phone."""
    shared_device: float = 0.30
    """Tablets and browsers that several people of a household use."""
    kiosk_user: float = 0.25
    """People with a web account who logged in once at a kiosk; at web and app kiosks alike."""
    work_mailbox: float = 0.30
    """Companies whose people register with one mailbox of the team."""
    name_misspelt: float = 0.05
    """Records with a name in which it is misspelt."""
    detail_missing: float = 0.15
    """Records that lack the birth date or the address that they could carry."""
    receipt_unidentified: float = 0.25
    """Till receipts with neither card nor phone."""
    cookie_never_logged_in: float = 0.40
    """Browsers in which nobody ever logs in."""
    phone_recycled: float = 0.03
    """People whose phone number belonged to another member until more than a year before."""
    family_phone: float = 0.02
    """Members registered with the phone of another person in the household."""
    other_spelling: float = 0.10
    """Names and addresses written correctly but otherwise: spaces, honorific, NFD, Latin."""

    @classmethod
    def none(cls) -> Noise:
        """A company without any of it."""
        return cls(**dict.fromkeys(cls.__dataclass_fields__, 0.0))


@dataclass(frozen=True)
class History:
    """Real purchases, of which only the identifiers are to be made.

    `orders`: one row per order line with customer_id, order_id, ordered_at (naive, the shop's wall
    clock), product_id, quantity, net_amount, discount_amount. `products`: one row per product with
    product_id, department, category, product_type, brand, price.
    """

    orders: pl.DataFrame
    products: pl.DataFrame


@dataclass(frozen=True)
class Plan:
    """One simulation. Equal plans give equal files."""

    people: int = 20_000
    seed: int = 1
    first_day: date = date(2024, 1, 1)
    last_day: date = date(2024, 12, 31)
    noise: Noise = field(default_factory=Noise)

    def __post_init__(self) -> None:
        if not 1 <= self.people <= 10_000_000:
            raise ValueError(f"people must be between 1 and 10,000,000, not {self.people:,}")
        if self.first_day >= self.last_day:
            raise ValueError("the period must be longer than a day")

    @property
    def blocks(self) -> int:
        """How many blocks of people there are."""
        return math.ceil(self.people / BLOCK)

    def block_size(self, block: int) -> int:
        """People in a block; the last may be smaller."""
        return min(BLOCK, self.people - block * BLOCK)

    def streams(self, block: int) -> dict[str, np.random.Generator]:
        """Random streams of a block, by topic."""
        spawned = np.random.SeedSequence([self.seed, block]).spawn(len(_TOPICS))
        return {
            topic: np.random.default_rng(seed) for topic, seed in zip(_TOPICS, spawned, strict=True)
        }

    def company_stream(self) -> np.random.Generator:
        """Random stream of what is one for the whole company: catalogue, campaigns, kiosks."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, 0xC0]))

    @property
    def start(self) -> int:
        """First second of the period, in seconds of the local wall clock since 1970."""
        return seconds(self.first_day)

    @property
    def end(self) -> int:
        """First second after the period."""
        return seconds(self.last_day) + DAY

    @property
    def months(self) -> list[str]:
        """Months of the period, as in 2024-01."""
        count = (self.last_day.year - self.first_day.year) * 12
        count += self.last_day.month - self.first_day.month + 1
        months = np.datetime64(self.first_day.isoformat()[:7], "M") + np.arange(count)
        return [str(month) for month in months]

    def month_of(self, moments: np.ndarray) -> np.ndarray:
        """Index into `months` of each moment; what was before the period comes with the first."""
        months = (moments // DAY).astype("datetime64[D]").astype("datetime64[M]")
        first = np.datetime64(self.first_day.isoformat()[:7], "M")
        return np.clip((months - first).astype(np.int64), 0, len(self.months) - 1)

    def with_period_of(self, history: History) -> Plan:
        """The plan for the customers and the period of a given history."""
        ordered = history.orders["ordered_at"]
        return replace(
            self,
            people=history.orders["customer_id"].n_unique(),
            first_day=ordered.min().date(),
            last_day=ordered.max().date(),
        )


def seconds(day: date) -> int:
    """Seconds from 1970-01-01 to the beginning of a day, both in local wall-clock time."""
    return (day - date(1970, 1, 1)).days * DAY


def scatter(index: np.ndarray, size: int, salt: int) -> np.ndarray:
    """Map 0…size−1 onto itself, neighbours far apart: numbers that are unique without a memory.

    An affine map i → a·i + c modulo size, with a prime to size, near the golden section.
    """
    factor = int(size * 0.6180339887) | 1
    while math.gcd(factor, size) != 1:
        factor += 2
    return (np.asarray(index, dtype=np.int64) * factor + salt * 7919) % size
