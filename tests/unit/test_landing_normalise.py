"""Spellings that must become equal, and garbage that must not become an identifier."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.normalise import (
    InvalidIdentifierError,
    normalise_code,
    normalise_email,
    normalise_phone,
    normaliser_for,
)

TYPES = ["email", "phone", "login", "loyalty_card", "cookie", "device", "customer_id"]
ATTRIBUTES = [
    "name", "given_name", "surname", "birth_date", "address", "postcode", "city", "company",
]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES + ATTRIBUTES)
@settings(max_examples=60, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=40),
        st.emails(),
        st.from_regex(r"\+?[0-9 ()-]{5,18}", fullmatch=True),
        st.text("김민수 님씨고객(주)식회사mrdco.,'-12´", max_size=25),
    )
)
def test_normal_forms_are_stable_and_do_not_depend_on_composition(kind, text):
    normalise = normaliser_for(kind, "KR")

    def outcome(spelling):
        try:
            return normalise(spelling)
        except InvalidIdentifierError as error:
            assert len(text) < 4 or text not in str(error)
            return "refused"

    first = outcome(text)
    assert first == outcome(unicodedata.normalize("NFD", text))
    assert first == outcome(f"\u200b {text}\ufeff ")
    if first not in (None, "refused"):
        assert outcome(first) == first


@given(digits=st.from_regex(r"[2-9][0-9]{7}", fullmatch=True))
def test_every_spelling_of_a_korean_mobile_number_is_one_number(digits):
    a, b = digits[:4], digits[4:]
    wide = "".join(chr(ord(c) + 0xFEE0) for c in f"010{a}{b}")
    spellings = [
        f"010-{a}-{b}", f"010 {a} {b}", f"010.{a}.{b}", f"010{a}{b}", f"+82 10-{a}-{b}",
        f"+82(0)10{a}{b}", f"82-10-{a}-{b}", f"(010) {a}-{b}", wide,
    ]  # fmt: skip
    assert {normalise_phone(s, "KR") for s in spellings} == {f"+8210{a}{b}"}


@pytest.mark.parametrize(
    "text", ["", "  ", None, "null", "(NULL)", "N/A", "None", "\u200b", "\u3000", "-", "ㅤ", "없음"]
)
@pytest.mark.parametrize("kind", TYPES + ATTRIBUTES)
def test_saying_nothing_is_not_an_identifier(kind, text):
    assert normaliser_for(kind)(text) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "not an address"), ("email", "a@"), ("email", "a@b"),
        ("email", "x" * 300 + "@example.com"),
        ("email", "a@b.com, c@d.com"), ("phone", "12"), ("phone", "010-1234"), ("phone", "call me"),
        ("phone", "9" * 200), ("login", "x" * 10_000), ("cookie", "a\x00b"),
        ("birth_date", "1980-02-31"), ("birth_date", "31/01/1980"), ("birth_date", "1801-01-01"),
        ("postcode", "0" * 17), *((kind, "9" * 10_240) for kind in TYPES + ATTRIBUTES),
    ],
)  # fmt: skip
def test_garbage_is_refused_without_being_repeated(kind, text):
    with pytest.raises(InvalidIdentifierError) as refusal:
        normaliser_for(kind)(text)
    assert text not in str(refusal.value)


def test_emails_keep_their_person_and_lose_their_spelling():
    assert normalise_email(" Kim.Lee+news@Example.COM ") == "kim.lee+news@example.com"
    assert normalise_email("ｋｉｍ@ｅｘａｍｐｌｅ.ｃｏｍ") == "kim@example.com"
    assert normalise_email("김@예시.kr") == normalise_email(
        unicodedata.normalize("NFD", "김@예시.kr")
    )
    assert normalise_email("kim@xn--vv4b11d.kr") == normalise_email("kim@예시.kr")


def test_codes_keep_case_and_leading_zeros_and_lose_float_dress():
    assert normalise_code("AbC") == "AbC"
    assert normalise_code("00123") == "00123"
    assert normalise_code("17850.0") == "17850"
    assert normalise_code("１７８５０") == "17850"


@pytest.mark.parametrize(
    ("kind", "spellings", "normal"),
    [
        ("name", ["홍 길동", "홍길동님", "홍길동 고객님", "홍길동(VIP)", "홍\u200b길동"], "홍길동"),
        ("name", ["Mr. John  O'Brien", "JOHN O’BRIEN", "Ｊｏｈｎ　obrien"], "john obrien"),
        ("name", ["Kim, Min-Su", "kim min su"], "kim min su"),
        ("surname", ["김씨"], "김씨"),  # one syllable and a title: the title may be all there is
        (
            "birth_date",
            ["1980-01-31", "1980.1.31.", "1980년 1월 31일", "19800131", "１９８０/０１/３１",
             "1980-01-31 00:00:00", "19800131.0"],
            "1980-01-31",
        ),
        (
            "address",
            ["서울 강남구 테헤란로 12-3, 101동", "서울  강남구 테헤란로 12 - 3 101동"],
            "서울 강남구 테헤란로 12-3 101동",
        ),
        ("address", ["12 Main St., Apt. #4", "12 MAIN ST APT 4"], "12 main st apt 4"),
        ("postcode", ["SW1A 1AA", "sw1a-1aa"], "sw1a1aa"),
        ("postcode", ["06236", "06236.0"], "06236"),
        ("company", ["㈜한빛상사", "(주) 한빛 상사", "한빛상사 주식회사"], "한빛상사"),
        ("company", ["Hanbit Co., Ltd.", "HANBIT, Inc"], "hanbit"),
        ("company", ["Inc."], "inc"),
    ],
)  # fmt: skip
def test_attributes_lose_what_people_write_differently(kind, spellings, normal):
    assert {normaliser_for(kind)(s) for s in spellings} == {normal}
    assert normaliser_for(kind)(unicodedata.normalize("NFD", spellings[0])) == normal


def test_declared_formats_decide_what_a_birth_date_is():
    day_first = normaliser_for("birth_date", formats=("%d/%m/%Y", "%d.%m.%y"))
    assert day_first("03/02/1980") == day_first("03.02.80") == "1980-02-03"
    with pytest.raises(InvalidIdentifierError):
        day_first("1980-02-03")
    assert normaliser_for("birth_date")("0000-00-00") is None


def test_house_numbers_stay_apart():
    assert len({normaliser_for("address")(a) for a in ("1 12-3", "1 123", "1 12 3")}) == 3
