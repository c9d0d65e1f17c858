"""One spelling for each identifier, so that equal identifiers get equal pseudonyms.

Here belong the rules by identifier type, as pure functions of text. Hashing belongs in
`pseudonyms`; telling test and placeholder addresses from real ones belongs to identity stitching.
Raise `NORMALISER_VERSION` with any change that spells an identifier differently: landing then reads
the files again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial

NORMALISER_VERSION = 1

_LONGEST_IDENTIFIER = 512
_SAYS_NOTHING = frozenset(
    {"null", "none", "n/a", "na", "nan", "nil", "undefined", "unknown", "-", "--", "#n/a"}
)
# Format characters without a width, which come along when text is pasted from web pages.
_INVISIBLE = dict.fromkeys(
    [0x00AD, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065)]
)
_PHONE_SHAPE = re.compile(r"[+0-9()\-./ ~#*xXextEXT;=]+")

Normaliser = Callable[[str | None], str | None]


class InvalidIdentifierError(ValueError):
    """The text cannot be an identifier of its type. The message never carries the text itself."""


def normaliser_for(identifier_type: str, region: str = "US") -> Normaliser:
    """Return the function that normalises identifiers of this type.

    It maps text to its one spelling, or to None where the text says that there is no identifier,
    and raises `InvalidIdentifierError` for text that cannot be one. `region` (ISO 3166) is that of
    phone numbers without a country code.
    """
    if identifier_type == "email":
        return normalise_email
    if identifier_type == "phone":
        return partial(normalise_phone, region=region)
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
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
