"""What `dsegment why` answers, over a made warehouse with just the tables that it reads."""

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest
from click.testing import CliRunner, Result

from dagster_project import cli
from dagster_project.settings import Settings
from dagster_project.why import UnexplainedError, shortest_path

SECRET = bytes.fromhex("ab" * 32)
SOURCES = """
business: {zone: UTC, currency: USD, region: KR}
sources:
  shop:
    zone: UTC
    currency: USD
    entities:
      orders:
        files: "*.csv"
        format: csv
        delivery: append
        key: [order_id]
        columns:
          - {name: order_id, required: true}
          - {name: login, identifier: login}
          - {name: email, identifier: email}
"""


def pseudonym(kind: str, value: str) -> str:
    return hmac.new(SECRET, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()


ANN, ANNA = pseudonym("login", "ann"), pseudonym("login", "anna")
BOB, EVE = pseudonym("login", "bob"), pseudonym("login", "eve")
ANNS, FAMILYS = pseudonym("email", "ann@home.kr"), pseudonym("email", "family@home.kr")
BLOCKED, SHARED = pseudonym("email", "test@test.com"), pseudonym("email", "all@office.kr")
# Ann and Anna are one person by a match; Bob and Ann wrote one blocked address and claim one
# e-mail that stands alone; Bob and Eve are alike; Eve was refused Ann's own address.
WAREHOUSE = f"""
create schema raw; create schema intermediate; create schema identity;
create table raw.identity_types as
    select * from (values ('login', 1), ('email', 2)) as t (identifier_type, priority);
create table raw.shop__orders as select * from (values
    ('W1', '{ANN}', '{ANNS}'), ('W2', '{BOB}', '{BLOCKED}'), ('W3', null, '{BLOCKED}'),
    ('W4', null, null), ('W5', '{ANN}', null), ('W6', null, '{SHARED}')
) as t (order_id, login_pseudonym, email_pseudonym);
create table intermediate.int_identity__identifiers_judged as select * from (values
    ('{ANN}', 'login', null, null), ('{ANNA}', 'login', null, null), ('{BOB}', 'login', null, null),
    ('{EVE}', 'login', null, null), ('{ANNS}', 'email', null, null),
    ('{FAMILYS}', 'email', null, null), ('{BLOCKED}', 'email', 'blocked_test_address', null),
    ('{SHARED}', 'email', 'shared_identifier', '9 × login')
) as t (pseudonym, identifier_type, refused_reason, refused_detail);
create table identity.person_identifiers as
    select pseudonym, identifier_type, case pseudonym
        when '{BOB}' then 'person-b' when '{EVE}' then 'person-e' when '{FAMILYS}' then 'person-f'
        else 'person-a' end as person_id
    from intermediate.int_identity__identifiers_judged where refused_reason is null;
create table identity.identifier_edges as select * from (values
    ('{ANN}', 'login', '{ANNS}', 'email', 'naming_joining', 'shop.orders', 'W1', 3, 0.99992),
    ('{ANNA}', 'login', '{ANN}', 'login', 'match', null, null, 1, 0.99999994)
) as t (pseudonym_a, identifier_type_a, pseudonym_b, identifier_type_b, link_kind, entity,
    record_id, record_count, confidence),
    (select timestamp '2024-02-01' as first_seen_at, true as is_accepted);
create table identity.match_scores as select * from (values
    ('{ANNA}', '{ANN}', 0.99999994, 'name near; birth_date exact'),
    ('{BOB}', '{EVE}', 0.71, 'name exact')
) as t (pseudonym_a, pseudonym_b, match_probability, evidence);
create table identity.match_suggestions as
    select '{BOB}' as pseudonym_a, 'login' as identifier_type_a, '{EVE}' as pseudonym_b,
        'login' as identifier_type_b, 'name exact' as evidence;
create table identity.refused_links as select *, timestamp '2024-02-01' as first_seen_at
from (values
    ('{ANN}', '{BLOCKED}', 'blocked_test_address', null, 'W1'),
    ('{ANNA}', '{BLOCKED}', 'blocked_test_address', null, 'W7'),
    ('{BOB}', '{BLOCKED}', 'blocked_test_address', null, 'W2'),
    ('{ANN}', '{FAMILYS}', 'contested_identifier', '2 claims that contradict', 'W8'),
    ('{BOB}', '{FAMILYS}', 'contested_identifier', '2 claims that contradict', 'W9'),
    ('{EVE}', '{ANNS}', 'over_limit', '9 × email', 'W10')
) as t (pseudonym_a, pseudonym_b, reason, reason_detail, record_id),
    (select 'login' as identifier_type_a, 'email' as identifier_type_b,
        'naming_joining' as link_kind, 'shop.orders' as entity);
"""


def links(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema=["pseudonym_a", "pseudonym_b"], orient="row")


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    """A state folder that is not made yet, of a project that declares one source."""
    (tmp_path / "sources.yml").write_text(SOURCES, encoding="utf-8")
    return Settings(
        home=tmp_path / "home", project_dir=tmp_path, pseudonym_key=SECRET.hex(), sources=("shop",)
    )


@pytest.fixture
def stitched(empty: Settings) -> Settings:
    empty.home.mkdir()
    with duckdb.connect(empty.warehouse_path) as connection:
        connection.execute(WAREHOUSE)
    return empty


def why(settings: Settings, first: str, second: str) -> Result:
    return CliRunner().invoke(cli.why, [first, second], obj=settings)


def test_the_path_takes_the_fewest_links_in_either_direction() -> None:
    path = shortest_path(
        links(("b", "a"), ("b", "c"), ("c", "d"), ("a", "e"), ("e", "d"), ("d", "f")), "a", "f"
    )
    assert [(link["pseudonym_a"], link["pseudonym_b"]) for link in path] == [
        ("a", "e"),
        ("e", "d"),
        ("d", "f"),
    ]


def test_an_identifier_needs_no_link_to_itself() -> None:
    assert shortest_path(links(("a", "b")), "a", "a") == []


def test_unconnected_identifiers_are_said_to_be_so() -> None:
    with pytest.raises(UnexplainedError, match="No accepted links"):
        shortest_path(links(("a", "b"), ("c", "d")), "a", "d")


def test_a_path_names_each_identifier_in_full_and_what_a_match_rests_on(stitched: Settings) -> None:
    told = why(stitched, "email=Ann@home.kr", ANNA.upper())
    assert told.exit_code == 0
    assert told.output.splitlines() == [
        "Both are person person-a, by these links:",
        f"  email {ANNS}",
        "    first seen in shop.orders:W1 on 2024-02-01, in 3 records, confidence 0.9999",
        f"  login {ANN}",
        "    match, probability over 0.9999 (name near; birth_date exact)",
        f"  login {ANNA}",
    ]


def test_two_people_hear_of_each_identifier_that_was_refused_to_both(stitched: Settings) -> None:
    told = why(stitched, "shop.orders:W1", "shop.orders:W2").output
    assert told.splitlines() == [
        "They are two people, person-a and person-b:",
        f"  login {ANN}",
        f"  login {BOB}",
        "What was found between them does not join them:",
        "",
        f"  login {ANN}",
        "    blocked_test_address: first seen in shop.orders:W1 on 2024-02-01",
        f"  email {BLOCKED}",
        "    blocked_test_address: first seen in shop.orders:W2 on 2024-02-01",
        f"  login {BOB}",
        "",
        f"  login {ANN}",
        "    contested_identifier (2 claims that contradict): first seen in shop.orders:W8 on"
        " 2024-02-01",
        f"  email {FAMILYS}",
        "    contested_identifier (2 claims that contradict): first seen in shop.orders:W9 on"
        " 2024-02-01",
        f"  login {BOB}",
    ]


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (ANN, EVE, "over_limit (9 × email): first seen in shop.orders:W10 on 2024-02-01"),
        (EVE, ANN, "over_limit (9 × email): first seen in shop.orders:W10 on 2024-02-01"),
        (EVE, BOB, "suggested: match, probability 0.7100 (name exact)"),
        (EVE, FAMILYS, "No link between them was seen, nor an identifier that both were seen with"),
        ("shop.orders:W1", "shop.orders:W5", "one and the same identifier of person person-a"),
    ],
)
def test_two_are_told_what_is_between_them(
    stitched: Settings, first: str, second: str, says: str
) -> None:
    told = why(stitched, first, second)
    assert (told.exit_code, says in told.output) == (0, True)
    assert ("No link" in told.output) == ("No link" in says)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("email=test@test.com", "nobody and joins nobody: email blocked_test_address."),
        ("email=all@office.kr", "joins nobody: email shared_identifier (9 × login)."),
        (BLOCKED.upper(), "joins nobody: email blocked_test_address."),
        ("shop.orders:W3", "joins nobody: email blocked_test_address."),
        ("shop.orders:W4", "This record of shop.orders carries no identifier (login, email), so"),
        (
            "shop.orders:canary",
            "shop.orders has no record of this id. Its order_id is written as W",
        ),
        ("email=canary@home.kr", "No record that was stitched shows this email."),
        ("email=canary", "This is no usable email: "),
        ("email=null", "This is no usable email: it says that there is none."),
        ("canary@home.kr=1", "What stands before the = is none of email, login."),
        ("canary:1", "What stands before the colon is none of shop.orders."),
        ("0" * 64, "No record that was stitched shows this pseudonym."),
        ("canary", "Name a record as source.entity:id"),
    ],
)
def test_who_is_nobody_is_told_why_and_hears_no_value_again(
    stitched: Settings, named: str, says: str
) -> None:
    for told, place in (
        (why(stitched, named, ANN), "FIRST"),
        (why(stitched, ANN, named), "SECOND"),
    ):
        assert told.exit_code == 1
        assert told.output.startswith(f"Error: {place}: ") and says in told.output
        assert not any(word in told.output for word in ("canary", "test@", "office"))


def test_without_people_a_run_is_asked_for_and_nothing_is_made(empty: Settings) -> None:
    settings = replace(empty, pseudonym_key=None)
    says = f"Error: {settings.home} holds no people yet: run `dsegment run`.\n"
    told = why(settings, ANN, BOB)
    assert (told.exit_code, told.output) == (1, says)
    assert not settings.home.exists()
    settings.home.mkdir()
    assert why(settings, ANN, BOB).output == says
    assert not list(settings.home.iterdir())


def test_a_missing_key_is_asked_for_and_not_made(stitched: Settings) -> None:
    settings = replace(stitched, pseudonym_key=None)
    told = why(settings, "email=ann@home.kr", ANN)
    assert told.exit_code == 1 and "put pseudonym.key back" in told.output
    assert not (settings.home / "pseudonym.key").exists()
    assert why(settings, "shop.orders:W1", ANNA).exit_code == 0
