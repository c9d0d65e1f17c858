"""What identity.yml and the decision file may say, and where a mistake is reported."""

import csv
import datetime as dt
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.declarations import read_declarations
from landing.identity_rules import (
    Identity,
    IdentityRulesError,
    glob_regex,
    read_decisions,
    read_identity,
    read_identity_rules,
    refuse_unblockable,
)

ROOT = Path(__file__).parents[2]
SOURCES = """
business: {zone: UTC, currency: USD, region: KR}
sources:
  demo:
    zone: UTC
    currency: USD
    entities:
      crm_members: {files: "a_*.csv", format: csv, delivery: append, columns: [{name: note}]}
      web_orders: {files: "b_*.csv", format: csv, delivery: append, columns: [{name: note}]}
"""
A, B = "a1" * 32, "B2" * 32
HEADER = "pseudonym_a,pseudonym_b,decision,decided_by,decided_at,note\n"


@pytest.fixture
def declarations(tmp_path):
    (tmp_path / "sources.yml").write_text(SOURCES, encoding="utf-8")
    return read_declarations(tmp_path / "sources.yml")


@pytest.fixture
def shipped():
    return (ROOT / "identity.yml").read_text(encoding="utf-8")


def test_the_shipped_rules_are_good_and_in_the_written_order(declarations):
    identity = read_identity(ROOT / "identity.yml", ROOT / "no such file.csv", declarations)
    refuse_unblockable(identity, declarations)
    rules = identity.rules.identifier_types
    assert next(iter(rules)) == "customer_id" and list(rules)[-1] == "cookie"
    assert {kind for kind, rule in rules.items() if rule.checks_profile} == {"email", "phone"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tier: weak, limit", "teir: weak, limit", ["identifier_types, device", "'teir' is not"]),
        ("  cookie:       {", "  cookies:       {", ["identifier_types, cookies", "'cookie'"]),
        ("login:        {tier: naming", "login: {tier: strong", ["login, tier", "'weak'"]),
        ("shared_above: 4", "shared_above: -4", ["email, shared_above", "equal to 0"]),
        ("device:       {", "device: {checks_profile: true, ", ["device", "of tier joining"]),
        ("- reason: role_mailbox", "- reason: Role mailbox", ["email, no. 3", "snake_case"]),
        ('"info@*"', '"*"', ["email, no. 3, patterns, no. 1", "would block every"]),
        ('"info@*"', '"[z-a]@*"', ["'[z-a]@*' is not a pattern"]),
        ('"1900-01-01"', "1900-01-01", ["birth_date, no. 1, values, no. 1", "valid string"]),
        ("suggest_above: 0.5", "suggest_above: 0.99", ["matching", "must not be higher"]),
        ("join_above: 0.94", "join_above: 92", ["matching, join_above", "less than or equal to 1"]),
        ("largest_join: 4", "largest_join: 1", ["largest_join", "greater than or equal to 2"]),
        ("[verified, source_order", "[verified, oldest", ["email, rules, no. 2", "'verified'"]),
        ("[demo.crm_members]}", "[demo.members]}", ["'demo.members' is no source.entity"]),
        (", sources: [demo.crm_members]}", "}", ["survivorship, birth_date", "belong together"]),
        ("  surname:    {", "  given_name:    {", ["line", "'given_name' is declared twice"]),
        ("  surname:    {rules: [most_recent, most_frequent]}\n", "", ["nothing of surname: add"]),
    ],
)  # fmt: skip
def test_a_bad_rule_says_where_and_what(tmp_path, declarations, shipped, old, new, says):
    assert old in shipped
    path = tmp_path / "identity.yml"
    path.write_text(shipped.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(IdentityRulesError) as error:
        read_identity_rules(path, declarations)
    for word in [str(path), *says]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("kind", "entry", "says"),
    [
        ("email", "values: [not an address]", "is no email to landing (not an e-mail address)"),
        ("phone", "values: ['010-12']", "is no phone to landing (not a number in use"),
        ("phone", "values: ['null']", "(says nothing): correct (with the country code"),
        ("phone", "patterns: ['010-*']", "'010-*' fits no phone: write it (with the country code"),
        ("birth_date", "values: ['1980-02-31']", "is no birth_date to landing"),
    ],
)
def test_what_no_identifier_can_be_is_not_silently_unguarded(
    tmp_path, declarations, shipped, kind, entry, says
):
    path = tmp_path / "identity.yml"
    start = shipped.index("blocked:\n")
    end = shipped.index("# Probabilistic")
    blocked = f"blocked:\n  {kind}: [{{reason: test, {entry}}}]\n"
    path.write_text(shipped[:start] + blocked + shipped[end:], encoding="utf-8")
    identity = Identity(read_identity_rules(path, declarations), rules_file=path)
    with pytest.raises(IdentityRulesError, match=re.escape(says)):
        refuse_unblockable(identity, declarations)


@settings(max_examples=200, deadline=None)
@given(st.text("ab*?.[]-!^\\$|{(+", min_size=1, max_size=8), st.text("ab.[]-!^\\$", max_size=6))
def test_a_pattern_means_what_a_glob_means(pattern, text):
    try:
        regex = re.compile(glob_regex(pattern), re.DOTALL)
    except re.error:
        return  # such a pattern is refused when it is read
    if not re.search(r"\[[^\]]*(\^|!|-|\\)|\[\]", pattern):  # fnmatch reads odd classes otherwise
        assert bool(regex.fullmatch(text)) == fnmatchcase(text, pattern)


def test_decisions_are_read_as_people_write_them(tmp_path):
    path = tmp_path / "identity.csv"
    assert read_decisions(path) == []
    path.write_bytes(
        "\ufeffnote,pseudonym_a,pseudonym_b,decision,decided_by,decided_at\r\n"
        f'"two lines,\r\none cell",{A},{B}, Approve ,kim,2026-03-31T09:30:00+09:00\r\n'
        "\r\n"
        f",{B},{A},reject,lee,2026-04-01\r\n".encode()
    )
    first, second = read_decisions(path)
    assert first == (
        *(2, A, B.lower(), "approve", "kim"),
        dt.datetime.fromisoformat("2026-03-31T00:30"),
        "two lines,\r\none cell",
    )
    april = dt.datetime.fromisoformat("2026-04-01")
    assert second == (5, B.lower(), A, "reject", "lee", april, None)


@pytest.fixture
def usual_field_limit():
    """Python's own limit of a CSV field: dbt lifts it for the whole process."""
    lifted = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(lifted)


@pytest.mark.usefixtures("usual_field_limit")
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (f"{A},{B},maybe,kim,2026-03-31,\n", "line 2, column 'decision': neither approve nor"),
        (f"{A},{A.upper()},reject,kim,2026-03-31,\n", "line 2, column 'pseudonym_b': the same"),
        (f"canary,{B},reject,kim,2026-03-31,\n", "line 2, column 'pseudonym_a': not a pseudonym"),
        (f"{A},{B},reject,,2026-03-31,\n", "line 2, column 'decided_by': empty"),
        (f"{A},{B},reject,NULL,2026-03-31,\n", "line 2, column 'decided_by': empty, or what"),
        (f"{A},{B},reject,kim\0,2026-03-31,\n", "line 2, column 'decided_by': holds a NUL"),
        (f"{A},{B},reject,kim,2026-03-31,can\0ary\n", "line 2, column 'note': holds a NUL"),
        (f"{A},{B},reject,kim,yesterday,\n", "line 2, column 'decided_at': not a time"),
        (f"{A},{B},reject,kim,0001-01-01T00:00:00+23:00,\n", "line 2, column 'decided_at'"),
        (f"{A},{B},reject,kim,2026-03-31,{'x' * 3000}\n", "line 2, column 'note': longer than"),
        (
            f"\n{A},{B},reject,kim,2026-03-31,{'x' * 200_000}\n",
            "line 3: a field longer than 131,072 characters, where a note may have 2,000",
        ),
        (f"\n{A},{B},reject,kim,2026-03-31\n", "line 3: 5 columns instead of 6"),
        (f'{A},{B},reject,kim,2026-03-31,"canary\n', "line 2: not readable as CSV"),
    ],
)
def test_a_bad_decision_names_file_line_and_column(tmp_path, body, says):
    path = tmp_path / "identity.csv"
    path.write_text(HEADER + body, encoding="utf-8")
    with pytest.raises(IdentityRulesError) as error:
        read_decisions(path)
    assert str(path) in str(error.value) and says in str(error.value)
    assert "canary" not in str(error.value)


def test_a_decision_file_in_another_shape_is_refused(tmp_path):
    path = tmp_path / "identity.csv"
    for content, says in [
        (b"", "line 1: the header must be pseudonym_a"),
        (b"a;b;c\n", "line 1: the header must be"),
        ((HEADER + "x\n" + "김").encode("cp949"), "line 3: not UTF-8"),
        ((HEADER + "x,\n" * 50).encode(), "and 30 more"),
    ]:
        path.write_bytes(content)
        with pytest.raises(IdentityRulesError, match=re.escape(says)):
            read_decisions(path)


def test_a_folder_in_place_of_the_decision_file_is_named(tmp_path):
    with pytest.raises(IdentityRulesError, match=re.escape(f"{tmp_path}: Is a directory;")):
        read_decisions(tmp_path)
