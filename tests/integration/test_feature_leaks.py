"""Features of a day know nothing from after it, and a new day computes what it touches, no more.

A made-up shop is written as the tables that the features read, so that every event can be moved.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dagster_project.prepare import write_dbt_sources
from dagster_project.resources import export_environment
from dagster_project.settings import Settings
from landing.declarations import read_declarations

TODAY = date(2024, 12, 31)
FIRST_DAY = TODAY - timedelta(days=28 * 20)
GRID = [TODAY - timedelta(days=28 * step) for step in range(21)]
SELECTED = (
    "stg_run__as_of int_orders__orders_aggregated int_features__* mart_customer_features"
    " mart_value_labels mart_department_windows"
)

TABLES = {
    "raw.as_of": "as_of_date date, business_zone varchar, currency varchar",
    "identity.person_recorded_days": "as_of_date date, recorded_date date",
    "identity.person_identifiers": "pseudonym varchar, person_id varchar, first_seen_at timestamp",
    "identity.person_identifier_history": "pseudonym varchar, person_id varchar, known_from date,"
    " known_to date",
    "core.dim_products": "product_id varchar, category varchar, department varchar",
    "core.dim_stores": "store_id varchar, region varchar",
    "intermediate.int_orders__lines_conformed": "source varchar, source_order_id varchar,"
    " customer_key varchar, customer_key_type varchar, ordered_at timestamp, order_date date,"
    " source_zone varchar, source_store_id varchar, channel varchar, quantity bigint,"
    " gross_amount decimal(18,4), discount_amount decimal(18,4), net_amount decimal(18,4),"
    " currency varchar, is_return boolean, known_from date",
    "core.fct_order_lines": "order_id varchar, customer_key varchar, product_id varchar,"
    " order_date date, net_amount decimal(18,4), is_return boolean, known_from date",
    "core.fct_campaign_contacts": "source varchar, source_campaign_id varchar,"
    " customer_key varchar, started_date date, known_from date",
    "core.fct_redemptions": "source varchar, source_campaign_id varchar, customer_key varchar,"
    " redeemed_date date, known_from date",
    "intermediate.int_events__web_unioned": "source varchar, platform varchar,"
    " source_event_id varchar, browser_key varchar, customer_key varchar,"
    " customer_key_type varchar, event_type varchar, occurred_at timestamp, occurred_date date,"
    " known_from date",
    "intermediate.int_engagement__messages_unioned": "source varchar, channel varchar,"
    " source_message_id varchar, customer_key varchar, event_type varchar, occurred_at timestamp,"
    " occurred_date date, known_from date",
    "intermediate.int_surveys__answers_unioned": "source varchar, source_answer_id varchar,"
    " customer_key varchar, nps_score integer, answered_at timestamp, answered_date date,"
    " known_from date",
}


@dataclass(frozen=True)
class Event:
    """Something that happened to the owner of an identifier. The business's zone is UTC here.

    `known` is the day on which it came where that was late: the whole of it, or, in an order or a
    visit of several rows, all but the first.
    """

    number: int
    kind: str
    key: str
    at: datetime
    seed: int
    known: date | None = None

    @property
    def known_from(self) -> date:
        return self.known or self.at.date()

    @property
    def is_partly_late(self) -> bool:
        return self.known is not None and self.kind in ("order", "visit") and self.seed % 2 == 0

    def row_known_from(self, number: int) -> date:
        return self.at.date() if self.is_partly_late and not number else self.known_from


@dataclass(frozen=True)
class Shop:
    """Events, and who owns each identifier since when: (person, first day), the last one today."""

    events: tuple[Event, ...]
    owners: dict[str, list[tuple[str, date]]]

    def rows(self, today: date) -> dict[str, list[tuple]]:
        """The tables, with nothing that happened or came after today."""
        events = [event for event in self.events if event.row_known_from(0) <= today]
        first_seen: dict[str, datetime] = {}
        first_known: dict[str, date] = {}
        for event in events:
            first_seen[event.key] = min(event.at, first_seen.get(event.key, event.at))
            known_from = event.row_known_from(0)
            first_known[event.key] = min(known_from, first_known.get(event.key, known_from))
        tables: dict[str, list[tuple]] = {name: [] for name in TABLES}
        tables["raw.as_of"] = [(today, "UTC", "USD")]
        tables["identity.person_recorded_days"] = [(day, TODAY) for day in GRID if day <= today]
        for key, seen_at in first_seen.items():
            known = [day for day in sorted({*GRID, today}) if first_known[key] <= day <= today]
            spells = [(owner, max(since, known[0])) for owner, since in self.owners[key]]
            spells = [(owner, since) for owner, since in spells if since <= today]
            ends = [since for _, since in spells[1:]] + [None]
            tables["identity.person_identifiers"].append((key, spells[-1][0], seen_at))
            tables["identity.person_identifier_history"] += [
                (key, owner, since, until)
                for (owner, since), until in zip(spells, ends, strict=True)
                if since != until
            ]
        tables["core.dim_products"] = [
            (f"p{n}", f"c{n % 12}", f"d{n % 4}" if n % 4 else None) for n in range(40)
        ]
        tables["core.dim_stores"] = [(f"shop:s{n}", f"region {n % 2}") for n in range(2)]
        for event in events:
            self._write(event, tables)
        return {
            name: [row for row in rows if row[-1] <= today]
            if "known_from" in TABLES[name] and name.split(".")[0] != "identity"
            else rows
            for name, rows in tables.items()
        }

    def _write(self, event: Event, tables: dict[str, list[tuple]]) -> None:
        draw, day = random.Random(event.seed), event.at.date()
        campaign = f"m{draw.randrange(8)}"
        if event.kind == "order":
            amounts = [draw.randrange(-200, 4000) / 100 for _ in range(draw.randint(1, 4))]
            is_return = draw.random() < 0.1
            channel = draw.choice(["store", "web"])
            store = f"s{draw.randrange(3)}" if channel == "store" else None
            discount = draw.randrange(300) / 100
            for n, paid in enumerate(amounts):
                known = event.row_known_from(n)
                order = ("shop", str(event.number), event.key, "login", event.at, day, "UTC", store)
                sums = (round(paid + discount, 2), discount, paid, "USD", is_return, known)
                tables["intermediate.int_orders__lines_conformed"].append(
                    (*order, channel, 1, *sums)
                )
                product = f"p{draw.randrange(40)}"
                tables["core.fct_order_lines"].append(
                    (f"shop:{event.number}", event.key, product, day, paid, is_return, known)
                )
        elif event.kind in ("contact", "redemption"):
            fact = "fct_campaign_contacts" if event.kind == "contact" else "fct_redemptions"
            tables[f"core.{fact}"].append(("shop", campaign, event.key, day, event.known_from))
        elif event.kind == "visit":
            tables["intermediate.int_events__web_unioned"] += [
                (
                    "shop",
                    draw.choice(["web", "app"]),
                    f"e{event.number}-{n}",
                    f"browser-{event.key}",
                    event.key,
                    draw.choice(["login", "cookie"]),
                    kind,
                    event.at + timedelta(minutes=15 * n),
                    day,
                    event.row_known_from(n),
                )
                for n, kind in enumerate(
                    ["login", "view", "search", "cart_add", "checkout", "purchase"][
                        : draw.randint(1, 6)
                    ]
                )
                # A visit that runs past midnight is two: the day after may move without this one.
                if (event.at + timedelta(minutes=15 * n)).date() == day
            ]
        elif event.kind in ("sent", "opened", "clicked"):
            # The message is the seed's: its events come at times of their own.
            message = ("shop", draw.choice(["email", "push"]), f"n{event.seed}", event.key)
            tables["intermediate.int_engagement__messages_unioned"].append(
                (*message, event.kind, event.at, day, event.known_from)
            )
        else:
            answer = ("shop", f"a{event.number}", event.key, draw.randrange(11), event.at, day)
            tables["intermediate.int_surveys__answers_unioned"].append((*answer, event.known_from))


def made_up_shop(seed: int, people: int = 60, events: int = 2500) -> Shop:
    """People of one to three identifiers; a fifth of these change hands on a day of the grid.

    A tenth of the events come late, on any day until today.
    """
    draw = random.Random(seed)
    owners: dict[str, list[tuple[str, date]]] = {}
    for person in range(people):
        for number in range(draw.choice([1, 1, 2, 3])):
            spells = [(f"person-{person}", FIRST_DAY)]
            if draw.random() < 0.2:
                # Two that were one, or one that was two.
                spells.append((f"person-{draw.randrange(people)}", draw.choice(GRID[:-2])))
            owners[f"key-{person}-{number}"] = spells
    kinds = ["order"] * 10 + ["contact", "redemption", "visit", "visit", "answer"]
    keys, made = sorted(owners), []
    span = (TODAY - FIRST_DAY).days * 24 * 60
    for number in range(events):
        at = datetime.combine(FIRST_DAY, datetime.min.time()) + timedelta(
            minutes=draw.randrange(span), microseconds=draw.randrange(10**6)
        )
        made.append(Event(number, draw.choice(kinds), draw.choice(keys), at, draw.randrange(10**9)))
    for number in range(events, events + events // 5, 3):
        key, seed_ = draw.choice(keys), draw.randrange(10**9)
        at = datetime.combine(draw.choice(GRID), datetime.min.time()) - timedelta(
            minutes=draw.randrange(20_000)
        )
        for step, kind in enumerate(["sent", "opened", "clicked"][: draw.randint(1, 3)]):
            at += timedelta(minutes=draw.randrange(3_000) * step)
            made.append(Event(number + step, kind, key, at, seed_))
    late = [
        replace(event, known=event.at.date() + timedelta(days=draw.randint(1, 90)))
        if draw.random() < 0.1
        else event
        for event in made
    ]
    return Shop(tuple(event for event in late if event.known_from <= TODAY), owners)


@dataclass
class Warehouse:
    """A warehouse that holds the shop's tables and what dbt makes of them."""

    settings: Settings
    manifest: object

    def build(self, shop: Shop, today: date = TODAY, *flags: str) -> None:
        from dbt.cli.main import dbtRunner

        export_environment(self.settings)
        tables = shop.rows(today)
        with duckdb.connect(self.settings.warehouse_path) as connection:
            for name, columns in TABLES.items():
                connection.execute(f"create schema if not exists {name.split('.')[0]}")
                connection.execute(f"create or replace table {name} ({columns})")
                if tables[name]:
                    rows = pl.DataFrame(tables[name], orient="row", infer_schema_length=None)
                    connection.register("rows", rows).execute(f"insert into {name} from rows")
        arguments = ["--quiet", "run", "--project-dir", str(self.settings.dbt_dir), *flags]
        done = dbtRunner(manifest=self.manifest).invoke([*arguments, "--select", *SELECTED.split()])
        assert done.success, [result.message for result in done.result]

    def rows(self, query: str) -> list[tuple]:
        with duckdb.connect(self.settings.warehouse_path) as connection:
            return connection.execute(query).fetchall()

    def features(self, until: date = TODAY) -> list[tuple]:
        return self.rows(
            f"from marts.mart_customer_features where as_of_date <= '{until}'"
            " order by customer_id, as_of_date"
        )

    def labels(self, until: date = TODAY) -> list[tuple]:
        return self.rows(
            f"from marts.mart_value_labels where label_until_date <= '{until}' order by all"
        )

    def due(self) -> list[date]:
        return [
            day
            for (day,) in self.rows(
                "select as_of_date from intermediate.int_features__days_compared where is_due"
                " order by 1"
            )
        ]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> object:
    from dbt.cli.main import dbtRunner

    settings = Settings(home=tmp_path_factory.mktemp("parsed"))
    write_dbt_sources(read_declarations(settings.sources_file), settings.dbt_dir)
    export_environment(settings)
    return dbtRunner().invoke(["--quiet", "parse", "--project-dir", str(settings.dbt_dir)]).result


@pytest.fixture
def new_warehouse(tmp_path: Path, manifest: object) -> Callable[[str], Warehouse]:
    def make(name: str) -> Warehouse:
        settings = Settings(home=tmp_path / name)
        settings.home.mkdir()
        return Warehouse(settings, manifest)

    return make


def moved_after(shop: Shop, cut: date, draw: random.Random) -> Shop:
    """The same shop as was known on the cut; all else happens at other times, to others, or not."""
    keys = sorted(shop.owners)
    known = [event for event in shop.events if event.known_from <= cut]
    # What was known of an order or visit of which the rest came later.
    known += [
        replace(event, known=TODAY)
        for event in shop.events
        if event.is_partly_late and event.at.date() <= cut < event.known_from
    ]
    others = [event for event in shop.events if event.at.date() > cut]
    room = (TODAY - cut).days * 24 * 60 - 1
    moved = [
        Event(
            event.number,
            draw.choice(["order", "visit", "answer", "contact"])
            if event.kind not in ("sent", "opened", "clicked")
            else event.kind,
            draw.choice(keys) if event.kind not in ("opened", "clicked") else event.key,
            datetime.combine(cut, datetime.min.time())
            + timedelta(days=1, minutes=draw.randrange(room)),
            draw.randrange(10**9) if event.kind != "sent" else event.seed,
        )
        for event in others
        if draw.random() < 0.8
    ]
    owners = {
        key: [spell for spell in spells if spell[1] <= cut]
        + [(f"person-{draw.randrange(60)}", cut + timedelta(days=28))] * (draw.random() < 0.3)
        for key, spells in shop.owners.items()
    }
    return Shop((*known, *moved), owners)


def in_time(shop: Shop) -> Shop:
    return Shop(tuple(replace(event, known=None) for event in shop.events), shop.owners)


def late_candidate(shop: Shop, kind: str, until: date) -> Event:
    """The last event of a kind before a day that came whole and in time."""
    return max(
        (e for e in shop.events if e.kind == kind and e.known is None and e.at.date() < until),
        key=lambda event: event.at,
    )


def test_nothing_after_a_cut_can_change_a_feature_before_it(
    new_warehouse: Callable[[str], Warehouse],
) -> None:
    shop, cut = made_up_shop(seed=0), GRID[5]
    first = new_warehouse("first")
    first.build(shop)
    second = new_warehouse("second")
    second.build(moved_after(shop, cut, random.Random(0)))

    before = first.features(cut)
    assert len({row[1] for row in before}) > 10
    assert before == second.features(cut)
    assert first.features() != second.features()

    assert not first.rows(
        "select 1 from marts.mart_customer_features where max_event_at >= as_of_date + 1"
    )
    # No feature is left out of the proof: each has a value somewhere.
    (counts,) = first.rows("select count(columns(*)) from marts.mart_customer_features")
    names = first.rows("select column_name from (describe marts.mart_customer_features)")
    assert {name for (name,), count in zip(names, counts, strict=True) if not count} == {
        f"margin_amount_{days}d" for days in (30, 90, 365)
    }

    # A label is what is known of its days today, so that only what came in time can be compared.
    first.build(in_time(shop))
    second.build(moved_after(in_time(shop), cut, random.Random(0)))
    assert first.labels(cut) == second.labels(cut) != []


def test_a_day_computes_the_snapshots_that_it_touches_and_the_rest_stays_as_a_rebuild_makes_it(
    new_warehouse: Callable[[str], Warehouse],
) -> None:
    shop = made_up_shop(5)
    warehouse = new_warehouse("grown")

    def reported() -> tuple:
        """Sums of the newest snapshot that everything late must raise."""
        return warehouse.rows(
            """
            select sum(order_count_365d), sum(item_count_365d), sum(coupon_redemption_count_365d),
                sum(session_count_365d), sum(message_count_365d), sum(open_count_365d)
            from marts.mart_customer_features
            where as_of_date = (select max(as_of_date) from marts.mart_customer_features)
            """
        )[0]

    def rebuilt(today: date) -> list[tuple]:
        again = new_warehouse(f"again-{today}-{len(shop.events)}")
        again.build(shop, today)
        return again.features()

    yesterday = GRID[1] + timedelta(days=10)
    warehouse.build(shop, yesterday)
    assert len(warehouse.due()) > 10
    warehouse.build(shop, yesterday)
    assert warehouse.due() == []

    # A new day: its own snapshot; yesterday's goes, for no step of the spine ends there.
    today = yesterday + timedelta(days=1)
    warehouse.build(shop, today)
    assert warehouse.due() == [today]
    assert yesterday not in {row[1] for row in warehouse.features()}

    # What comes late, of every kind: today's report counts it, training snapshots never knew of it.
    labels, before, counted = warehouse.labels(), warehouse.features(yesterday), reported()
    found = {kind: late_candidate(shop, kind, GRID[4]) for kind in ("order", "visit", "sent")}
    moment = found["order"].at + timedelta(days=1)
    late = [
        Event(10**6 + n, kind, found["order"].key, moment, 2 * n + 1, today)
        for n, kind in enumerate(["order", "contact", "redemption", "visit", "sent", "answer"])
    ]
    # More lines of an order, a click more in a visit, and the response to a message.
    late += [
        replace(found["order"], seed=1, known=today),
        replace(found["visit"], number=10**7, seed=1, known=today),
        replace(found["sent"], kind="opened", known=today),
    ]
    shop = Shop((*shop.events, *late), shop.owners)
    warehouse.build(shop, today)
    assert warehouse.due() == [today]
    assert warehouse.features(yesterday) == before
    assert all(now > then for now, then in zip(reported(), counted, strict=True))
    assert warehouse.labels() != labels
    assert warehouse.features() == rebuilt(today)

    # A merge: what was known before stays, today's report sees it.
    tomorrow = today + timedelta(days=1)
    first, second = sorted({shop.owners[event.key][-1][0] for event in shop.events})[:2]
    owners = {
        key: [*spells, (first, tomorrow)] if spells[-1][0] == second else spells
        for key, spells in shop.owners.items()
    }
    shop = Shop(shop.events, owners)
    warehouse.build(shop, tomorrow)
    assert warehouse.due() == [tomorrow]
    assert warehouse.features() == rebuilt(tomorrow)
    assert second not in {row[0] for row in warehouse.features() if row[1] == tomorrow}
    assert second in {row[0] for row in warehouse.features() if row[1] < tomorrow}
