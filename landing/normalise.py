"""One spelling for each identifier and attribute, so that equal ones get equal pseudonyms.

Here belong the rules by identifier type and by attribute, as pure functions of text. Hashing
belongs in `pseudonyms`; telling test and placeholder addresses from real ones belongs to
`identity.yml`. Raise `NORMALISER_VERSION` with any change that spells one differently: landing then
reads the files again.

Identifiers name a person, so their rules change nothing that could tell two people apart.
Attributes only describe one and are compared, so their rules drop what people write differently
about the same thing: titles, brackets, legal forms, spaces in Hangul.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial

NORMALISER_VERSION = 2

_LONGEST_IDENTIFIER = 512
_SAYS_NOTHING = frozenset(
    {
        *("null", "none", "n/a", "na", "nan", "nil", "undefined", "unknown", "-", "--", "#n/a"),
        *("(null)", "[null]", "<null>", "nat", "없음", "미상", "미입력", "해당없음", "모름"),
    }
)
# Characters without a width, which come along when text is pasted from web pages, and the Hangul
# fillers, which look like spaces and are typed to get past a required field.
_INVISIBLE = dict.fromkeys(
    [
        *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x180E, 0x3164, 0xFEFF, 0xFFA0),
        *(*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)),
        *range(0xFE00, 0xFE10),
    ]
)
_WIDE_DIGIT = re.compile(r"[^\D0-9]")
_PHONE_SHAPE = re.compile(r"[+0-9()\-./ ~#*xXextEXT;=]+")

Normaliser = Callable[[str | None], str | None]


class InvalidIdentifierError(ValueError):
    """The text cannot be of its type. The message never carries the text itself."""


def normaliser_for(kind: str, region: str = "US", formats: Sequence[str] = ()) -> Normaliser:
    """Return the function that normalises identifiers of this type, or this attribute.

    It maps text to its one spelling, or to None where the text says that there is nothing, and
    raises `InvalidIdentifierError` for text that cannot be one. `region` (ISO 3166) is that of
    phone numbers without a country code, `formats` (strptime) those of birth dates.
    """
    match kind:
        case "email":
            return normalise_email
        case "phone":
            return partial(normalise_phone, region=region)
        case "birth_date":
            return partial(normalise_day, formats=formats)
        case "name" | "given_name" | "surname":
            return normalise_name
        case "address" | "city":
            return normalise_address
        case "postcode":
            return normalise_postcode
        case "company":
            return normalise_company
    return normalise_code


def clean(text: str | None) -> str:
    """Drop invisible characters, compose to NFC, and reduce white space to single spaces."""
    if text is None:
        return ""
    composed = unicodedata.normalize("NFC", text.translate(_INVISIBLE))
    return " ".join(composed.split())


def normalise_code(text: str | None) -> str | None:
    """Normalise a login, card, cookie, device or customer number; letter case is kept."""
    code = _narrow_digits(clean(text))
    if not code or code.casefold() in _SAYS_NOTHING:
        return None
    if len(code) > _LONGEST_IDENTIFIER:
        raise InvalidIdentifierError(f"longer than {_LONGEST_IDENTIFIER} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") for character in code):
        raise InvalidIdentifierError("has control or unassigned characters")
    # An export through a floating-point column writes 17850 as "17850.0".
    return re.sub(r"^(\d+)\.0+$", r"\1", code)


def normalise_email(text: str | None) -> str | None:
    """Normalise an e-mail address: full-width forms narrowed, lower case, domain in Unicode."""
    address = unicodedata.normalize("NFKC", clean(text)).removeprefix("mailto:").strip("<> ")
    if not address or address.casefold() in _SAYS_NOTHING:
        return None
    if len(address) > 254:
        raise InvalidIdentifierError("longer than an e-mail address can be")
    from email_validator import EmailNotValidError, validate_email

    try:
        # `test_environment` accepts domains such as example.test: identity stitching judges them.
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise InvalidIdentifierError("not an e-mail address") from None
    return unicodedata.normalize("NFC", checked.normalized.lower())


def normalise_phone(text: str | None, region: str = "US") -> str | None:
    """Normalise a phone number to E.164, without its extension."""
    number = unicodedata.normalize("NFKC", clean(text)).removeprefix("tel:")
    number = re.sub(r"[\u2010-\u2015\u2212\u30fc]", "-", number)
    if not number or number.casefold() in _SAYS_NOTHING:
        return None
    if len(number) > 64 or not _PHONE_SHAPE.fullmatch(number):
        raise InvalidIdentifierError("not a phone number")
    import phonenumbers

    # "+82 (0)10…" and "82-10…" are written so often that refusing them would lose people.
    number = re.sub(r"^(\+\d{1,3}[ -]?)\(0\)", r"\1", number)
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        raise InvalidIdentifierError("not a phone number") from None
    parsed.extension = None
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    # Korea opens 010 ranges faster than the library's tables follow: accept any eight digits.
    if not (phonenumbers.is_valid_number(parsed) or re.fullmatch(r"\+8210\d{8}", written)):
        raise InvalidIdentifierError(f"not a number in use in region {region}")
    return written


def _narrow_digits(text: str) -> str:
    """Write the decimal digits of any script (full-width ０１０, Arabic-Indic) as ASCII."""
    return _WIDE_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)


# --- attributes -----------------------------------------------------------------------

_HANGUL = re.compile(r"[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]")
_SPACE_IN_HANGUL = re.compile(
    r"(?<=[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]) "
    r"(?=[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e])"
)
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")
_WITHIN_WORDS = dict.fromkeys(map(ord, "'’‘ʼ`´"))
_TITLES = frozenset(
    {"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "madam", "mister", "professor"}
)
_HONORIFIC = re.compile(r"(?<=..)(고객님|회원님|선생님|고객|회원|귀하|님|씨)$")
_LEGAL_FORM = re.compile(
    r"\((?:주|유|사|재|합)\)|주식회사|유한회사|유한책임회사|사단법인|재단법인"
    r"|(?<!\w)(?:co\W{0,3}ltd|inc|incorporated|ltd|limited|llc|llp|plc|corp|corporation|gmbh)"
    r"(?!\w)\.?"
)
_FIRST_YEAR, _LAST_YEAR = 1870, 2100
_DAY = re.compile(
    r"(\d{4})\D{1,3}(\d{1,2})\D{1,3}(\d{1,2})(?:\D{0,2}|[T ]00:00(?::00(?:\.0+)?)?Z?)"
)
_DAY_OF_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0+)?")


def normalise_name(text: str | None) -> str | None:
    """Normalise a person's name: no titles, no brackets; in Hangul no spaces.

    Diacritics stay: whether Jose is José is for matching to judge.
    """
    return _settled(text, _bare_name)


def normalise_day(text: str | None, formats: Sequence[str] = ()) -> str | None:
    """Normalise a birth date to ISO 8601; by default year, month, day in any dress are read.

    `formats` are tried in order instead, when there are any. A day that does not exist, or before
    1870 or after 2100, is invalid; "0000-00-00" says nothing.
    """
    said = unicodedata.normalize("NFKC", clean(text)).strip()
    if not said or said.casefold() in _SAYS_NOTHING or not re.search(r"[^\W0_]", said):
        return None
    day = _parsed_day(_narrow_digits(said), formats)
    if day is None or not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise InvalidIdentifierError("not a day on which a person was born")
    return day.isoformat()


def normalise_address(text: str | None) -> str | None:
    """Normalise an address or a city: lower case, single spaces, no punctuation.

    A hyphen between numbers stays: house 12-3 is not house 123, nor flat 3 of house 12.
    """
    return _settled(text, partial(_words, keep_hyphens=True))


def normalise_postcode(text: str | None) -> str | None:
    """Normalise a postal code: neither spaces nor punctuation."""
    code = _settled(text, _bare_postcode)
    if code and len(code) > 16:
        raise InvalidIdentifierError("longer than a postal code can be")
    return code


def normalise_company(text: str | None) -> str | None:
    """Normalise a company's name: no legal form and no punctuation; in Hangul no spaces."""
    return _settled(text, _bare_company)


def _settled(text: str | None, rule: Callable[[str], str]) -> str | None:
    """Fold case and compatibility forms and apply a rule, until nothing changes any more.

    One pass may leave what the next would change (a title under a title, a mark that loses its
    letter), and a normal form must be its own normal form.
    """
    before, said = None, clean(text)
    if len(said) > _LONGEST_IDENTIFIER:
        raise InvalidIdentifierError(f"longer than {_LONGEST_IDENTIFIER} characters")
    while said != before:
        if said.casefold() in _SAYS_NOTHING:
            return None
        before = said
        said = rule(_narrow_digits(clean(unicodedata.normalize("NFKC", said.casefold()))))
    return said or None


def _bare_name(text: str) -> str:
    words = _words(_without_brackets(text)).split()
    while len(words) > 1 and words[0] in _TITLES:
        words = words[1:]
    name = _SPACE_IN_HANGUL.sub("", " ".join(words))
    return _HONORIFIC.sub("", name).rstrip() if _HANGUL.search(name) else name


def _bare_postcode(text: str) -> str:
    return _words(re.sub(r"^(\d+)\.0+$", r"\1", text)).replace(" ", "")


def _bare_company(text: str) -> str:
    name = _words(_LEGAL_FORM.sub(" ", text)) or _words(text)
    return _SPACE_IN_HANGUL.sub("", name)


def _without_brackets(text: str) -> str:
    bare = _BRACKETED.sub(" ", text)
    return bare if any(c.isalnum() for c in bare) else text


def _words(text: str, *, keep_hyphens: bool = False) -> str:
    """Letters, marks and digits with single spaces between words; apostrophes join."""
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text.translate(_WITHIN_WORDS))
    if keep_hyphens:
        text = re.sub(r"(?<=\d) ?- ?(?=\d)", "-", text)

    def kept(found: re.Match[str]) -> str:
        if keep_hyphens and found[0] == "-":
            before, after = text[: found.start()][-1:], text[found.end() :][:1]
            return "-" if before.isdigit() and after.isdigit() else " "
        # A vowel sign of an Indic script is a mark, which \w does not know as part of a word.
        return found[0] if unicodedata.category(found[0])[0] == "M" else " "

    return " ".join(re.sub(r"[^\w ]|_", kept, text).split())


def _parsed_day(text: str, formats: Sequence[str]) -> date | None:
    for form in formats:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a birthday has no zone
        except ValueError:
            continue
    parts = None if formats else _DAY.fullmatch(text) or _DAY_OF_DIGITS.fullmatch(text)
    try:
        return date(*map(int, parts.groups())) if parts else None
    except ValueError:
        return None
