"""E-mails, phones, logins and cards: unique ones for each person, and how people write them.

Here belong making an identifier and the correct ways to type it. A wrong one belongs in `noise`.
Uniqueness over all blocks comes from `scatter`, a permutation of the person's number.
"""

from __future__ import annotations

import numpy as np

from simulator.company.names import words
from simulator.company.plan import Plan, scatter

_PROVIDERS = (
    ("naver.com", 0.46),
    ("gmail.com", 0.26),
    ("daum.net", 0.08),
    ("hanmail.net", 0.06),
    ("kakao.com", 0.07),
    ("nate.com", 0.04),
    ("outlook.com", 0.03),
)
_WORDS = words(
    "happy blue sunny luna coffee momo star green lovely kongi choco sky rain mint "
    "tiger bom haru nabi dubu gom"
)
# 010-2000-0000 to 010-9899-9999: what lies outside is kept free for placeholders.
_FIRST_PHONE, _PHONES = 20_000_000, 78_999_999
PHONES_A_PERSON, EMAILS_A_PERSON = 3, 3


def draw_emails(
    rng: np.random.Generator, plan: Plan, person: np.ndarray, slot: int, latin: list[str]
) -> np.ndarray:
    """Personal addresses for people (by number) in one of their slots; `latin`: romanised names."""
    number = scatter(person * EMAILS_A_PERSON + slot, plan.people * EMAILS_A_PERSON + 7, plan.seed)
    domains = rng.choice([d for d, _ in _PROVIDERS], len(person), p=[s for _, s in _PROVIDERS])
    style, word = rng.integers(4, size=len(person)), rng.integers(len(_WORDS), size=len(person))
    locals_ = (
        (
            f"{name}{n}",
            f"{name.replace('.', '')}{n}",
            f"{name[:1]}{name.split('.')[-1]}{n}",
            f"{_WORDS[w]}{n}",
        )[s]
        for name, n, s, w in zip(latin, number.tolist(), style, word, strict=True)
    )
    return np.array([f"{a}@{d}" for a, d in zip(locals_, domains, strict=True)], dtype=object)


def draw_logins(
    rng: np.random.Generator, plan: Plan, person: np.ndarray, slot: int, latin: list[str]
) -> np.ndarray:
    """Log-in names of web accounts."""
    number = scatter(person * 2 + slot, plan.people * 2 + 11, plan.seed + 1)
    is_word, word = rng.random(len(person)) < 0.4, rng.integers(len(_WORDS), size=len(person))
    return np.array(
        [
            f"{_WORDS[w] if b else name.replace('.', '')[:8]}_{np.base_repr(n, 36).lower()}"
            for name, n, b, w in zip(latin, number.tolist(), is_word, word, strict=True)
        ],
        dtype=object,
    )


def phones(plan: Plan, person: np.ndarray, slot: int) -> np.ndarray:
    """Mobile numbers as eight digits after 010."""
    at = scatter(person * PHONES_A_PERSON + slot, _PHONES, plan.seed + 2)
    return np.array([f"{n:08d}" for n in (at + _FIRST_PHONE).tolist()], dtype=object)


def cards(plan: Plan, person: np.ndarray, slot: int) -> np.ndarray:
    """Loyalty cards: thirteen digits, the last the check digit of EAN-13."""
    at = scatter(person * 2 + slot, 1_000_000_000, plan.seed + 3)
    return np.array([_with_check_digit(f"880{n:09d}") for n in at.tolist()], dtype=object)


def member_ids(plan: Plan, person: np.ndarray, slot: int) -> np.ndarray:
    """Member numbers of the CRM."""
    at = scatter(person * 2 + slot, 100_000_000, plan.seed + 4)
    return np.array([f"M{n:08d}" for n in at.tolist()], dtype=object)


def _with_check_digit(digits: str) -> str:
    total = sum(int(d) * (3 if at % 2 else 1) for at, d in enumerate(digits))
    return f"{digits}{-total % 10}"


# --- how they are written -------------------------------------------------------------

_FULL_WIDTH = str.maketrans("0123456789-", "０１２３４５６７８９－")
_PHONE_STYLES = (
    (0.52, lambda a, b: f"010-{a}-{b}"),
    (0.22, lambda a, b: f"010{a}{b}"),
    (0.06, lambda a, b: f"010 {a} {b}"),
    (0.05, lambda a, b: f"010.{a}.{b}"),
    (0.05, lambda a, b: f"+82 10-{a}-{b}"),
    (0.03, lambda a, b: f"+8210{a}{b}"),
    (0.02, lambda a, b: f"82-10-{a}-{b}"),
    (0.02, lambda a, b: f"(010) {a}-{b}"),
    (0.01, lambda a, b: f"+82 (0)10 {a} {b}"),
    (0.01, lambda a, b: f"010-{a}-{b} "),
    (0.01, lambda a, b: f"010-{a}-{b}".translate(_FULL_WIDTH)),
)
_PHONE_SHARES = [share for share, _ in _PHONE_STYLES]


def write_phones(rng: np.random.Generator, digits: list[str | None]) -> list[str | None]:
    """Write eight digits as people do; None stays None."""
    styles = rng.choice(len(_PHONE_STYLES), len(digits), p=_PHONE_SHARES)
    return [
        None if d is None else _PHONE_STYLES[s][1](d[:4], d[4:])
        for d, s in zip(digits, styles.tolist(), strict=True)
    ]


def write_emails(rng: np.random.Generator, emails: list[str | None]) -> list[str | None]:
    """Write addresses as forms receive them: now and then in capitals or with a space."""
    luck = rng.random(len(emails)).tolist()
    return [
        e
        if e is None or x > 0.08
        else e.capitalize()
        if x > 0.04
        else f" {e}"
        if x > 0.02
        else e.upper()
        for e, x in zip(emails, luck, strict=True)
    ]


def e164(digits: str) -> str:
    """The normal form of a Korean mobile number."""
    return f"+8210{digits}"
