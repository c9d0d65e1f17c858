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


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=60, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=40), st.emails(), st.from_regex(r"\+?[0-9 ()-]{5,18}", fullmatch=True)
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


@pytest.mark.parametrize("text", ["", "  ", None, "null", "N/A", "None", "\u200b", "\u3000", "-"])
@pytest.mark.parametrize("kind", TYPES)
def test_saying_nothing_is_not_an_identifier(kind, text):
    assert normaliser_for(kind)(text) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "not an address"), ("email", "a@"), ("email", "a@b"),
        ("email", "x" * 300 + "@example.com"),
        ("email", "a@b.com, c@d.com"), ("phone", "12"), ("phone", "010-1234"), ("phone", "call me"),
        ("phone", "9" * 200), ("login", "x" * 10_000), ("cookie", "a\x00b"),
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
