"""One spelling for each identifier, so that equal people meet and pseudonyms can be compared.

Here belong the rules by identifier type, as pure functions of text. Hashing belongs in
`pseudonyms`, telling test and placeholder addresses from real ones belongs to identity stitching.
A change that spells any identifier differently raises `NORMALISER_VERSION`, which makes landing
read the files again.
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
# Characters with no width of their own: format characters pasted along from web pages and office
# documents.
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
    and raises `InvalidIdentifierError` for text that cannot be one. `region` (ISO 3166) is where a
    phone number without a country code is.
    """
    if identifier_type == "email":
        return normalise_email
    if identifier_type == "phone":
        return partial(normalise_phone, region=region)
    return normalise_code


def clean(text: str | None) -> str:
    """Strip what cannot be seen and compose what can.

    Invisible characters out, NFC, one kind of space, no edges.
    """
    if text is None:
        return ""
    composed = unicodedata.normalize("NFC", text.translate(_INVISIBLE))
    return " ".join(composed.split())


def normalise_code(text: str | None) -> str | None:
    """Normalise a login, card, cookie, device or customer number.

    Upper and lower case stay different.
    """
    code = _narrow_digits(clean(text))
    if not code or code.casefold() in _SAYS_NOTHING:
        return None
    if len(code) > _LONGEST_IDENTIFIER:
        raise InvalidIdentifierError(f"longer than {_LONGEST_IDENTIFIER} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") for character in code):
        raise InvalidIdentifierError("has control or unassigned characters")
    # A number exported through a floating-point column ("17850.0") is the number.
    return re.sub(r"^(\d+)\.0+$", r"\1", code)


def normalise_email(text: str | None) -> str | None:
    """Normalise an e-mail address: full-width forms narrowed, lower case, domain in Unicode.

    Nothing is looked up.
    """
    address = unicodedata.normalize("NFKC", clean(text)).removeprefix("mailto:").strip("<> ")
    if not address or address.casefold() in _SAYS_NOTHING:
        return None
    if len(address) > 254:
        raise InvalidIdentifierError("longer than an e-mail address can be")
    from email_validator import EmailNotValidError, validate_email

    try:
        # Reserved domains such as example.test are refused only by a look-up's rules; judging them
        # is not landing's.
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise InvalidIdentifierError("not an e-mail address") from None
    return unicodedata.normalize("NFC", checked.normalized.lower())


def normalise_phone(text: str | None, region: str = "US") -> str | None:
    """Normalise a phone number to E.164.

    Every spelling of a Korean 010 number gives the same +8210…
    """
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
    # Korea opens ranges of 010 faster than the library's tables follow: any eight digits may be a
    # person.
    if not (phonenumbers.is_valid_number(parsed) or re.fullmatch(r"\+8210\d{8}", written)):
        raise InvalidIdentifierError(f"not a number in use in region {region}")
    return written


def _narrow_digits(text: str) -> str:
    """Write any script's decimal digits (full-width ０１０, Arabic-Indic) as ASCII."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
