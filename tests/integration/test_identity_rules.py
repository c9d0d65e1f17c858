"""Identity's rules, decisions and spellings through landing into two real databases."""

import json
import unicodedata

import pytest
from test_landing import KEY, House

from landing.identity_rules import IdentityRulesError, read_identity
from landing.pseudonyms import parse_key

DECLARED = """
business: {zone: Asia/Seoul, currency: KRW, region: KR}
sources:
  shop:
    zone: Asia/Seoul
    currency: KRW
    entities:
      members:
        files: "members_*.json"
        format: json
        delivery: upsert
        key: [member]
        columns:
          - {name: member, identifier: customer_id}
          - {name: login, identifier: login}
          - {name: email, identifier: email}
          - {name: phone, identifier: phone}
          - {name: full_name, attribute: name}
          - {name: born, attribute: birth_date}
          - {name: street, attribute: address}
      orders:
        files: "orders_*.json"
        format: json
        delivery: append
        columns:
          - {name: contact, identifier: email}
          - {name: recipient, attribute: name}
"""
RULES = """
identifier_types:
  customer_id:  {tier: naming, limit_per_person: 6, shared_above: 0}
  login:        {tier: naming, limit_per_person: 6, shared_above: 0}
  loyalty_card: {tier: naming, limit_per_person: 6, shared_above: 0}
  phone:        {tier: joining, checks_profile: true, limit_per_person: 8, shared_above: 6,
                 reassigned_after_days: 90}
  email:        {tier: joining, limit_per_person: 8, shared_above: 4}
  device:       {tier: weak, limit_per_person: 0, shared_above: 8}
  cookie:       {tier: weak, limit_per_person: 0, shared_above: 8}
blocked:
  email:
    - {reason: test_address, values: [Canary@Mail.kr], patterns: ["Test@*"]}
    - {reason: role_mailbox, patterns: ["*@mail.kr"]}
  phone: [{reason: placeholder, values: [010-0000-0000], patterns: ["+82101234????"]}]
  name: [{reason: placeholder, values: [테스트]}]
matching: {join_above: 0.9, suggest_above: 0.5, largest_join: 4}
survivorship:
  name: {rules: [source_order, most_recent], sources: [shop.orders, shop.members]}
  given_name: {rules: [most_recent]}
  surname: {rules: [most_recent]}
  birth_date: {rules: [most_frequent]}
  address: {rules: [most_recent]}
  postcode: {rules: [most_recent]}
  city: {rules: [most_recent]}
  company: {rules: [most_recent]}
  email: {rules: [verified, most_recent]}
  phone: {rules: [verified]}
"""
TABLES = ["types", "blocked", "matching", "survivorship", "decisions"]
DECISIONS = "pseudonym_a,pseudonym_b,decision,decided_by,decided_at,note\n"


class IdentityHouse(House):
    """A house whose landings also write the rules of identity."""

    def __init__(self, path):
        super().__init__(path)
        self.declare(DECLARED)
        self.rule(RULES)

    def rule(self, text):
        (self.path / "identity.yml").write_text(text, encoding="utf-8")

    @property
    def identity(self):
        files = (self.path / "identity.yml", self.path / "decisions.csv")
        return read_identity(*files, self.declarations)

    def land(self, **kwargs):
        return super().land(identity=self.identity, **kwargs)

    def pending(self, **kwargs):
        return super().pending(identity=self.identity, **kwargs)

    def members(self, name, *rows):
        self.put(f"members_{name}.json", "".join(json.dumps(row) + "\n" for row in rows))

    def blocked(self):
        """What is blocked, by its normal form: (type, normal form, reason)."""
        return self.rows(
            """
            WITH held AS (
                SELECT email_pseudonym AS pseudonym, email_normalised AS said
                FROM vault.raw.shop__members
                UNION SELECT phone_pseudonym, phone_normalised FROM vault.raw.shop__members
                UNION SELECT full_name_pseudonym, full_name_normalised FROM vault.raw.shop__members
                UNION SELECT contact_pseudonym, contact_normalised FROM vault.raw.shop__orders
            )
            SELECT identifier_type, said, reason
            FROM raw.identity_blocked JOIN held USING (pseudonym) ORDER BY ALL
            """
        )


@pytest.fixture
def house(tmp_path):
    return IdentityHouse(tmp_path)


def versions(result):
    return {state.entity: state.data_version for state in result.identity}


PLAIN = {
    "login": "김철수1234",
    "email": "kim@mail.kr",
    "phone": "010-2345-6789",
    "full_name": "김철수",
    "born": "1980-01-31",
    "street": "서울 테헤란로 12-3",
}
SAME, NOTHING, UNUSABLE = "same", "nothing", "unusable"


@pytest.mark.parametrize(
    ("spelling", "outcome"),
    [
        (lambda text: text, SAME),
        (lambda text: unicodedata.normalize("NFD", text), SAME),
        (lambda text: f"\u200b{text[:2]}\u200d{text[2:]}\ufeff", SAME),
        (lambda text: f" \t\u3000{text}\u00a0", SAME),
        (lambda text: "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in text), SAME),
        (lambda text: "", NOTHING),
        (lambda text: " \u3000\t ", NOTHING),
        (lambda text: "null", NOTHING),
        (lambda text: "\u200b\u3164", NOTHING),
        (lambda text: text * (10_240 // len(text) + 1), UNUSABLE),
    ],
    ids=["plain", "NFD", "zero width", "white space around", "full width", "empty", "white space",
         "null", "invisible", "10 kB"],
)  # fmt: skip
def test_every_spelling_of_an_identifier_has_a_named_outcome(house, spelling, outcome):
    said = {column: spelling(text) for column, text in PLAIN.items()}
    house.members("1", {"member": "1", **PLAIN}, {"member": "2", **said})
    (file,) = house.land().files
    columns = ", ".join(f"{column}_pseudonym" for column in PLAIN)
    plain, spelt = house.rows(f"SELECT {columns} FROM raw.shop__members ORDER BY _row_number")
    assert file.rows_loaded == 2 and None not in plain
    assert spelt == (plain if outcome == SAME else (None,) * len(PLAIN))
    if outcome != UNUSABLE:
        assert file.note is None
        return
    for column, kind in zip(
        PLAIN, ["login", "email", "phone", "name", "birth_date", "address"], strict=True
    ):
        assert f"1 row(s) without their {column}: not a usable {kind}" in file.note
    # What was written is not lost: the vault has it.
    assert house.rows("SELECT max(length(login)) FROM vault.raw.shop__members")[0][0] > 10_000


def test_a_required_unusable_attribute_sets_the_row_aside(house):
    house.declare(
        DECLARED.replace("attribute: birth_date", "attribute: birth_date, required: true")
    )
    house.members(
        "1",
        *({"member": str(i), "born": b} for i, b in enumerate(["1980-02-31", "", "1980-02-03"])),
    )
    house.land()
    assert house.rows("SELECT line, column_name, reason, row_json FROM quality.quarantine") == [
        (1, "born", "invalid_identifier", None),
        (2, "born", "missing_value", None),
    ]
    house.accounts_hold()


def test_equal_values_meet_over_sources_and_attributes_keep_apart(house):
    house.members(
        "1", {"member": "1", "email": "KIM@mail.kr", "full_name": "김 철수", "login": "김철수"}
    )
    house.put("orders_1.json", json.dumps({"contact": "kim@mail.kr", "recipient": "김철수 고객님"}))
    house.land()
    (member,) = house.rows(
        "SELECT email_pseudonym, full_name_pseudonym, login_pseudonym FROM raw.shop__members"
    )
    (order,) = house.rows("SELECT contact_pseudonym, recipient_pseudonym FROM raw.shop__orders")
    assert member[:2] == order and member[2] != member[1]
    warehouse = (house.path / "warehouse.duckdb").read_bytes()
    assert not [said for said in ("김 철수", "김철수", "kim@") if said.encode() in warehouse]


def test_the_rules_are_tables_in_the_order_of_the_file(house):
    result = house.land()
    assert [(t.table, t.row_count) for t in result.identity] == [
        ("identity_types", 7), ("identity_blocked", 0), ("identity_matching", 1),
        ("identity_survivorship", 13), ("identity_decisions", 0),
    ]  # fmt: skip
    assert house.rows("FROM raw.identity_types ORDER BY priority")[3:5] == [
        ("phone", "joining", 4, 8, 6, True, 90),
        ("email", "joining", 5, 8, 4, False, 0),
    ]
    assert house.rows("FROM raw.identity_matching") == [(0.9, 0.5, 4)]
    ranked = "FROM raw.identity_survivorship WHERE field IN ('name', 'email') ORDER BY ALL"
    assert house.rows(ranked) == [
        ("email", "most_recent", 2, None, None),
        ("email", "verified", 1, None, None),
        ("name", "most_recent", 2, None, None),
        ("name", "source_order", 1, "shop.members", 2),
        ("name", "source_order", 1, "shop.orders", 1),
    ]


def test_what_the_file_blocks_is_blocked_wherever_and_however_it_was_written(house):
    house.members(
        "1",
        {
            "member": "1",
            "email": "CANARY@mail.kr",
            "phone": "+82 10 0000 0000",
            "full_name": "테 스트",
        },
        {"member": "2", "email": "test@some.kr", "phone": "010 1234 0001", "full_name": "김철수"},
        {"member": "3", "email": "lee@mail.kr", "phone": "01022345678"},
        {"member": "4", "email": "contest@some.kr"},
    )
    house.put("orders_1.json", '{"contact": "Test@Else.kr"}\n{"contact": "test@some.kr"}')
    house.land()
    expected = [
        ("email", "canary@mail.kr", "test_address"),  # the first list that holds
        ("email", "lee@mail.kr", "role_mailbox"),
        ("email", "test@else.kr", "test_address"),
        ("email", "test@some.kr", "test_address"),
        ("name", "테스트", "placeholder"),
        ("phone", "+821000000000", "placeholder"),
        ("phone", "+821012340001", "placeholder"),
    ]
    assert house.blocked() == expected
    assert b"canary" not in (house.path / "warehouse.duckdb").read_bytes().lower()
    # A guard taken away, and a new version of a member: only what still stands is blocked.
    house.rule(
        RULES.replace("name: [{reason: placeholder, values: [테스트]}]", "").replace("Test@", "no@")
    )
    house.members("2", {"member": "3", "email": "lee@else.kr"})
    house.land()
    assert [row[1] for row in house.blocked()] == [
        "canary@mail.kr",
        "+821000000000",
        "+821012340001",
    ]


def test_nothing_is_made_again_without_a_reason(house):
    house.members("1", {"member": "1", "email": "test@some.kr"})
    first = versions(house.land())
    assert house.pending() == [] and versions(house.land()) == first
    house.rule("# another sentence\n" + RULES.replace("join_above: 0.9,", "join_above: 0.90,"))
    assert house.pending() == []

    wider = RULES.replace('"Test@*"', '"test@*", "tester@*"')
    house.rule(wider)
    assert house.pending() == ["raw.identity_blocked: what it is made from changed"]
    # Looked for again, and found the same: nothing that reads it is out of date.
    assert versions(house.land()) == first and house.pending() == []

    house.rule(wider.replace("shared_above: 4", "shared_above: 5"))
    assert house.pending() == ["raw.identity_types: what it is made from changed"]
    second = versions(house.land())
    assert {name for name in TABLES if second[name] != first[name]} == {"types"}

    house.members("2", {"member": "2", "email": "lee@some.kr"})
    assert versions(house.land()) == second
    house.members("3", {"member": "3", "email": "test@else.kr"})
    third = versions(house.land())
    assert {name for name in TABLES if third[name] != second[name]} == {"blocked"}

    fourth = versions(house.land(key=parse_key("77" * 32)))
    assert {name for name in TABLES if fourth[name] != third[name]} == {"blocked"}
    assert [row[1] for row in house.blocked()] == ["test@else.kr", "test@some.kr"]


def test_a_landing_that_stopped_before_the_rules_is_made_up_for(house):
    house.members("1", {"member": "1", "email": "test@some.kr"})
    House.land(house)  # as if it had been stopped after the last file
    assert house.rows("SELECT count(*) FROM raw.identity_types") == [(0,)]
    assert [reason.split(":")[0] for reason in house.pending()] == [
        f"raw.identity_{name}" for name in TABLES
    ]
    house.land()
    assert house.blocked() == [("email", "test@some.kr", "test_address")]
    assert house.pending() == []


def test_decisions_are_kept_whether_or_not_the_warehouse_knows_the_identifiers(house):
    house.land()
    (house.path / "decisions.csv").write_text(
        f"{DECISIONS}{'a1' * 32},{'b2' * 32},approve,kim,2026-03-31T09:00:00+09:00,\n"
        f"{'b2' * 32},{'c3' * 32},reject,lee,2026-04-01,twins\n"
    )
    assert house.pending() == ["raw.identity_decisions: what it is made from changed"]
    house.land()
    assert house.rows(
        "SELECT row_number, left(pseudonym_a, 2), decision, decided_at::VARCHAR, note"
        " FROM raw.identity_decisions ORDER BY 1"
    ) == [
        (2, "a1", "approve", "2026-03-31 00:00:00", None),
        (3, "b2", "reject", "2026-04-01 00:00:00", "twins"),
    ]
    (house.path / "decisions.csv").unlink()  # every decision is taken back
    house.land()
    assert house.rows("SELECT count(*) FROM raw.identity_decisions") == [(0,)]


def test_a_guard_that_cannot_guard_stops_landing_before_any_file_is_read(house):
    house.members("1", {"member": "1", "email": "test@some.kr"})
    house.rule(RULES.replace("010-0000-0000", "010-00"))
    with pytest.raises(
        IdentityRulesError, match=r"identity\.yml:\n  blocked, phone, placeholder: '010-00'"
    ):
        house.land()
    assert house.rows("SELECT count(*) FROM quality.load_ledger") == [(0,)]
    assert KEY.secret.hex() not in (house.path / "identity.yml").read_text()
