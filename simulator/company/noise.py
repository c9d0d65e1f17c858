"""What goes wrong on the way into a system: typing errors, placeholders, misspelt names.

Here belong single mistakes. How often they happen is said in `plan.Noise`; where, in the module
that writes the record.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from simulator.company.names import romanise, romanise_surname

PLACEHOLDER_EMAILS = (
    "test@test.com",
    "none@none.com",
    "no@email.com",
    "a@a.com",
    "noemail@example.com",
    "asdf@asdf.com",
    "info@company.com",
    "noreply@example.com",
)
PLACEHOLDER_PHONES = ("00000000", "12345678", "11111111", "99999999")
"""As the eight digits after 010."""

_NEAR_KEYS = dict(
    zip("abcdefghijklmnopqrstuvwxyz", "snvdwrfhokljnmiprdtrycbsxtz"[:26], strict=True)
)
_WRONG_DOMAINS = {
    "naver.com": ("never.com", "naver.con", "naver.co"),
    "gmail.com": ("gmial.com", "gmail.con", "gamil.com"),
    "daum.net": ("daum.com", "duam.net"),
    "hanmail.net": ("hanmail.com", "hammail.net"),
    "kakao.com": ("kakao.con",),
}
# Vowels that are heard alike: ㅐ ㅔ, ㅓ ㅗ, ㅣ ㅢ, ㅕ ㅓ, by their place in a syllable block.
_ALIKE = {1: 5, 5: 1, 4: 8, 8: 4, 19: 20, 20: 19, 6: 4, 2: 0, 0: 4, 12: 8, 13: 17, 17: 13, 18: 13}


def mistype_digits(rng: np.random.Generator, digits: str) -> str:
    """One wrong digit, or two neighbours swapped."""
    at = int(rng.integers(1, len(digits)))
    if digits[at] != digits[at - 1] and rng.random() < 0.4:
        return digits[: at - 1] + digits[at] + digits[at - 1] + digits[at + 1 :]
    return digits[:at] + str((int(digits[at]) + int(rng.integers(1, 10))) % 10) + digits[at + 1 :]


def mistype_email(rng: np.random.Generator, email: str) -> str:
    """A wrong domain, or a letter left out, doubled or missed."""
    local, domain = email.split("@")
    if domain in _WRONG_DOMAINS and rng.random() < 0.4:
        return f"{local}@{rng.choice(_WRONG_DOMAINS[domain])}"
    return f"{mistype_word(rng, local)}@{domain}"


def mistype_word(rng: np.random.Generator, word: str) -> str:
    """One letter or digit left out, doubled or hit beside; never the word itself."""
    at = int(rng.integers(1, len(word)))
    kind = rng.integers(3)
    letter = word[at]
    if kind == 0 and len(word) > 3 and letter.isalnum():
        return word[:at] + word[at + 1 :]
    if kind == 1 and letter.isalnum():
        return word[:at] + letter + word[at:]
    if letter.isdigit():
        return word[:at] + str((int(letter) + 1) % 10) + word[at + 1 :]
    return word[:at] + _NEAR_KEYS.get(letter, "x") + word[at + 1 :]


def misspell(rng: np.random.Generator, name: str) -> str:
    """Misspell a name: an alike vowel or a lost final consonant in Hangul, a slip in Latin."""
    hangul = [at for at, letter in enumerate(name) if 0xAC00 <= ord(letter) <= 0xD7A3]
    if not hangul:
        return mistype_word(rng, name)
    # A surname is rarely wrong: the given name comes after it.
    at = hangul[-1 - int(rng.integers(min(2, len(hangul))))]
    code = ord(name[at]) - 0xAC00
    onset, vowel, coda = code // 588, code % 588 // 28, code % 28
    kind = rng.random()
    if kind < 0.6 and vowel in _ALIKE:
        vowel = _ALIKE[vowel]
    elif kind < 0.8 or not coda:
        coda = 0 if coda and kind < 0.7 else (4 if coda != 4 else 21)
    else:
        coda = {4: 21, 21: 4, 16: 4, 1: 24}.get(coda, 0)
    return name[:at] + chr(0xAC00 + onset * 588 + vowel * 28 + coda) + name[at + 1 :]


def write_name(rng: np.random.Generator, surname: str, given: str) -> str:
    """Write a name correctly, but not as most do."""
    kind = rng.random()
    if surname.isascii() or "ü" in surname:
        return f"{surname.upper()} {given}" if kind < 0.5 else f"{given} {surname}".upper()
    if kind < 0.35:
        return f"{surname} {given}"
    if kind < 0.60:
        return f"{surname}{given}님"
    if kind < 0.85:
        return unicodedata.normalize("NFD", surname + given)
    return f"{romanise_surname(surname)} {romanise(given)}".title()
