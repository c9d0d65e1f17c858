"""The golden contacts: pseudonyms of the golden profile turned back into values, in the vault."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from landing.declarations import Declarations, read_declarations
from landing.golden import FIELDS, write_golden_contacts
from landing.load import land
from landing.pseudonyms import parse_key

SOURCES = """
business: {zone: Asia/Seoul, currency: KRW, region: KR}
sources:
  shop:
    zone: Asia/Seoul
    currency: KRW
    entities:
      members:
        files: "members_*.csv"
        format: csv
        delivery: append
        key: [member]
        columns:
          - {name: member, identifier: customer_id, required: true}
          - {name: full_name, attribute: name}
          - {name: mail, identifier: email}
          - {name: note, personal: true}
      orders:
        files: "orders_*.csv"
        format: csv
        delivery: append
        key: [number]
        columns:
          - {name: number, type: bigint}
          - {name: recipient, attribute: name}
          - {name: phone, identifier: phone}
"""
MEMBERS = """member,full_name,mail,note
m1,Kim Minsu,KIM@Naver.com,secret
m2,KIM MINSU,lee@naver.com,
m3,kim minsu,,
m4,KIM MINSU,,
"""
ORDERS = """number,recipient,phone
1,Kim Minsu,010-2345-6789
2,Lee Jiwon,010-2345-6789
"""


@pytest.fixture
def declarations(tmp_path: Path) -> Declarations:
    (tmp_path / "sources.yml").write_text(SOURCES)
    return read_declarations(tmp_path / "sources.yml")


@pytest.fixture
def connection(tmp_path: Path, declarations: Declarations) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path / "landing" / "shop"
    folder.mkdir(parents=True)
    (folder / "members_1.csv").write_text(MEMBERS)
    (folder / "orders_1.csv").write_text(ORDERS)
    with duckdb.connect(tmp_path / "warehouse.duckdb") as opened:
        opened.execute(f"ATTACH '{tmp_path / 'vault.duckdb'}' AS vault")
        land(opened, declarations, ["shop"], tmp_path / "landing", parse_key("ab" * 32))
        opened.execute("CREATE SCHEMA core")
        yield opened


def make_customers(connection: duckdb.DuckDBPyConnection, **golden: tuple[str, str]) -> None:
    """One customer, "ann", whose golden fields are (entity, where to find the row in raw)."""
    columns = []
    for field in FIELDS:
        entity, pseudonym = golden.get(field, (None, "NULL"))
        source = f"'shop.{entity}'" if entity else "NULL"
        columns.append(f"{pseudonym} AS {field}_pseudonym, {source} AS {field}_source")
    connection.execute(
        f"CREATE OR REPLACE TABLE core.dim_customers AS SELECT 'ann' AS customer_id,"
        f" {', '.join(columns)}"
    )


def of(entity: str, column: str, where: str) -> tuple[str, str]:
    return entity, f"(SELECT {column}_pseudonym FROM raw.shop__{entity} WHERE {where})"


def contacts(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
    return connection.execute(
        "SELECT person_id, field, value, source FROM vault.golden.contacts ORDER BY ALL"
    ).fetchall()


def test_pseudonyms_become_the_values_of_the_source_they_came_from(connection, declarations):
    name = of("members", "full_name", "_row_number = 1")
    make_customers(
        connection,
        name=name,
        email=of("members", "mail", "_row_number = 1"),
        phone=of("orders", "phone", "number = 1"),
    )
    before = connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
    written = write_golden_contacts(connection, declarations)
    # The name as it was written most often there; identifiers in the form that a channel takes.
    assert contacts(connection) == [
        ("ann", "email", "kim@naver.com", "shop.members"),
        ("ann", "name", "KIM MINSU", "shop.members"),
        ("ann", "phone", "+821023456789", "shop.orders"),
    ]
    assert written.row_counts == {"email": 1, "name": 1, "phone": 1}
    assert written.unresolved_count == 0
    # One table more, in the vault; nothing temporary is left in a connection that others use.
    (tables,) = before
    assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (tables + 1,)


def test_a_second_call_writes_nothing_and_a_change_replaces_its_row(connection, declarations):
    make_customers(connection, email=of("members", "mail", "_row_number = 1"))
    write_golden_contacts(connection, declarations)
    first = connection.execute("SELECT rowid, * FROM vault.golden.contacts").fetchall()
    write_golden_contacts(connection, declarations)
    assert connection.execute("SELECT rowid, * FROM vault.golden.contacts").fetchall() == first
    make_customers(connection, email=of("members", "mail", "_row_number = 2"))
    write_golden_contacts(connection, declarations)
    assert contacts(connection) == [("ann", "email", "lee@naver.com", "shop.members")]


def test_a_pseudonym_that_the_vault_does_not_know_is_counted(connection, declarations):
    make_customers(
        connection,
        email=("members", f"'{'0' * 64}'"),
        # Known, but not from there.
        phone=("members", of("orders", "phone", "number = 1")[1]),
    )
    written = write_golden_contacts(connection, declarations)
    assert contacts(connection) == []
    assert written.unresolved_count == 2


def test_a_failed_write_leaves_the_contacts_as_they_were(connection, declarations):
    make_customers(connection, email=of("members", "mail", "_row_number = 1"))
    write_golden_contacts(connection, declarations)
    before = contacts(connection)
    make_customers(connection, email=of("members", "mail", "_row_number = 2"))

    class Failing:
        """The connection, whose insert into the contacts fails."""

        def execute(self, statement: str, *parameters: object) -> duckdb.DuckDBPyConnection:
            if statement.startswith("INSERT INTO vault.golden"):
                raise duckdb.IOException("disk full")
            return connection.execute(statement, *parameters)

    with pytest.raises(duckdb.IOException):
        write_golden_contacts(Failing(), declarations)
    assert contacts(connection) == before
