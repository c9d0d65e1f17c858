from pathlib import Path

import pytest
import yaml

from landing.dbt_sources import write_dbt_sources
from landing.declarations import DeclarationError, read_declarations

GOOD = """
business: {zone: Asia/Seoul, currency: KRW, region: KR}
sources:
  shop:
    zone: UTC
    currency: KRW
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
          - {name: full_name, personal: true}
          - {name: born, attribute: birth_date, formats: ["%d/%m/%Y"]}
          - {name: amount, type: "decimal(18,4)", min: 0}
          - {name: ordered_at, type: timestamp, description: When.}
"""
BORN = """          - {name: born, attribute: birth_date, formats: ["%d/%m/%Y"]}
"""


def read(tmp_path, text):
    path = tmp_path / "sources.yml"
    path.write_text(text, encoding="utf-8")
    return read_declarations(path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "min: 0",
            "mim: 0",
            ["source 'shop'", "entity 'orders'", "column 'amount'", "mim", "not a known"],
        ),
        ("decimal(18,4)", "money", ["column 'amount'", "'money' is not a type"]),
        ("identifier: email", "identifier: mail", ["column 'email'", "identifier"]),
        ("zone: UTC", "zone: Mars", ["source 'shop'", "'Mars' is not a time zone"]),
        (
            "key: [order_id]",
            "key: [id]",
            ["entity 'orders'", "'id', which is not a declared column"],
        ),
        ("key: [order_id]", "key: [full_name]", ["personal and never reaches"]),
        ("key: [order_id]", "key: [born]", ["'born', which is an attribute"]),
        ("personal: true", "personal: true, attribute: name", ["column 'full_name'", "drop"]),
        ("identifier: email", "identifier: email, attribute: name", ["keep the one that fits"]),
        ("attribute: birth_date", "attribute: name", ["`formats` belongs to a date"]),
        ("attribute: birth_date", "attribute: age", ["column 'born'", "attribute"]),
        ("  shop:", "  identity:", ["source 'identity'", "choose another"]),
        (
            "delivery: append",
            "delivery: upsert\n        version_by: ordered_at",
            ["required: true"],
        ),
        ("event_time: ordered_at", "event_time: amount", ["must be a date or a timestamp"]),
        (
            "- {name: email,",
            "- {name: amount}\n          - {name: email,",
            ["'amount' is declared twice"],
        ),
        ("        format: csv\n", "", ["'format' is missing"]),
        (
            "        format: csv\n",
            "        format: csv\n        format: json\n",
            ["declared twice", "line"],
        ),
        ("min: 0", "min: 2020-01-01", ["does not fit type decimal(18,4)"]),
        ("orders_*.csv", "../orders_*.csv", ["pattern of file names"]),
        ("name: email,", "name: _file_id,", ["snake_case"]),
    ],
)
def test_a_bad_declaration_says_where_and_what(tmp_path, old, new, says):
    assert old in GOOD
    with pytest.raises(DeclarationError) as error:
        read(tmp_path, GOOD.replace(old, new, 1))
    for word in ["sources.yml", *says]:
        assert word in str(error.value)


def test_raw_columns_hide_what_identifies_a_person(tmp_path):
    entity = read(tmp_path, GOOD).entities[0]
    assert [(c.name, c.sql_type) for c in entity.raw_columns] == [
        ("order_id", "BIGINT"),
        ("email_pseudonym", "VARCHAR"),
        ("born_pseudonym", "VARCHAR"),
        ("amount", "DECIMAL(18,4)"),
        ("ordered_at", "TIMESTAMP"),
        ("_file_id", "VARCHAR"),
        ("_row_number", "BIGINT"),
    ]


def test_the_version_follows_meaning_and_not_prose(tmp_path):
    def version(text, key_id="k", normalisers=1):
        return read(tmp_path, text).entities[0].declaration_version(key_id, normalisers)

    base = version(GOOD)
    assert version(GOOD.replace("description: When.", "description: The moment.")) == base
    assert version(GOOD.replace("min: 0", "min: 1")) != base
    assert version(GOOD.replace("zone: UTC", "zone: Asia/Seoul")) != base
    assert version(GOOD, key_id="other") != base
    assert version(GOOD, normalisers=2) != base
    assert version(GOOD.replace('"%d/%m/%Y"', '"%Y/%m/%d"')) != base
    # What was landed before there were attributes is not read again because there are.
    assert version(GOOD.replace(BORN, "")) == "a0361468a6a23756"


def test_dbt_sources_follow_and_are_left_alone_when_equal(tmp_path):
    declarations = read(tmp_path, GOOD)
    written = write_dbt_sources(declarations, tmp_path / "dbt")
    assert [p.relative_to(tmp_path / "dbt/models/staging").as_posix() for p in written] == [
        "_run__sources.yml",
        "identity/_identity__sources.yml",
        "quality/_quality__sources.yml",
        "shop/_shop__sources.yml",
    ]
    table = yaml.safe_load(written[-1].read_text())["sources"][0]["tables"][0]
    assert (table["name"], table["identifier"]) == ("orders", "shop__orders")
    assert table["columns"][1]["name"] == "email_pseudonym"
    assert write_dbt_sources(declarations, tmp_path / "dbt") == []


def test_the_shipped_declarations_are_good_and_described():
    declarations = read_declarations(Path(__file__).parents[2] / "sources.yml")
    for entity in declarations.entities:
        assert entity.description
        assert all(column.description for column in entity.columns)
