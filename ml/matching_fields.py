"""What each kind of field is: its one spelling, its levels of agreement, its blocking keys.

Here belong the SQL texts by kind, and the starting values and labels of the levels. Nothing is run
here (`ml.matching_records`), and no parameter is learned here (`ml.matching_estimation`).

A field `f` becomes these columns of the prepared table: `f_text` (one spelling), `f_alt` (a second
reading: words in order of the alphabet, the part before the @), `f_key` (the value as it is counted
for term frequencies), `f_numbers` (an address's numbers), `f_latin_0` and `_1` (a name in Latin),
`f_family` (words of which one may be the family's name), `f_given` (what is left of the name
without each of these words).

DuckDB compares texts byte by byte, so one Hangul syllable would count as three letters of which
most agree. Syllables are therefore written as the keys that type them, one ASCII letter a key:
a slip of one key is then one edit, as it is in Latin writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KINDS = (
    "name",
    "given_name",
    "surname",
    "birth_date",
    "address",
    "street_number",
    "postcode",
    "city",
    "state",
    "email",
    "phone",
    "text",
    "code",
    "times_seen",
)
# What the people of one household have in common, and what is a person's own.
SHARED_AT_HOME = frozenset({"address", "street_number", "postcode", "city", "state"})
NAMES = frozenset({"name", "given_name", "surname"})
PERSONAL = frozenset({"name", "given_name", "birth_date"})
# What neighbours have in common: who shares a postcode shares the city too.
PLACES = frozenset({"postcode", "city", "state"})
# What deterministic stitching joins by.
JOINING = frozenset({"email", "phone", "code"})
# What is measured of a person and not written by one. It is compared, but two with one value of it
# are no more alike for that: it draws no pairs, has no rare values and is no evidence to read.
MEASURED = frozenset({"times_seen"})

# Characters of a value that are compared: as many as an e-mail address may have. Counting the edits
# between two texts takes the square of their length, so a pasted page would hold up all others.
LONGEST = 254

# Whose column a value is put into by mistake: another address line is of the same kind.
_EXCHANGED_WITH = {"given_name": "surname", "surname": "given_name", "address": "address"}

# How many of a kind's first levels are ways to write one value; of an address all but "similar".
WAYS_TO_WRITE = {"name": 2, "address": -2}

_CONSONANTS = "ABCDEFGHIJKLMNOPQRS"  # ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ
_VOWEL_KEYS = "TUVWXYZ!#$%&*+"  # ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅛㅜㅠㅡㅣ
_VOWELS = (
    *("T", "U", "V", "W", "X", "Y", "Z", "!"),
    *("#", "#T", "#U", "#+", "$"),  # ㅗ ㅘ ㅙ ㅚ ㅛ
    *("%", "%X", "%Y", "%+", "&"),  # ㅜ ㅝ ㅞ ㅟ ㅠ
    *("*", "*+", "+"),  # ㅡ ㅢ ㅣ
)
_FINALS = (
    *("", "A", "B", "AJ", "C", "CM", "CS", "D"),  # - ㄱ ㄲ ㄳ ㄴ ㄵ ㄶ ㄷ
    *("F", "FA", "FG", "FH", "FJ", "FQ", "FR", "FS"),  # ㄹ ㄺ ㄻ ㄼ ㄽ ㄾ ㄿ ㅀ
    *("G", "H", "HJ", "J", "K", "L", "M", "O"),  # ㅁ ㅂ ㅄ ㅅ ㅆ ㅇ ㅈ ㅊ
    *("P", "Q", "R", "S"),  # ㅋ ㅌ ㅍ ㅎ
)
# Revised Romanisation by part of a syllable, and how frequent surnames are written instead.
_LATIN_INITIALS = (
    *("g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s"),
    *("ss", "", "j", "jj", "ch", "k", "t", "p", "h"),
)
_LATIN_VOWELS = (
    *("a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae"),
    *("oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i"),
)
_LATIN_FINALS = (
    *("", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l"),
    *("p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t", "p", "t"),
)
_LATIN_SURNAMES = {
    "김": "kim", "이": "lee", "박": "park", "최": "choi", "정": "jung", "강": "kang", "조": "cho",
    "윤": "yoon", "임": "lim", "오": "oh", "서": "seo", "신": "shin", "권": "kwon", "안": "ahn",
    "유": "yoo", "전": "jun", "고": "ko", "문": "moon", "손": "son", "배": "bae", "백": "baek",
    "허": "heo", "노": "noh", "구": "koo", "우": "woo", "주": "joo",
}  # fmt: skip
_WIDE = "".join(chr(code) for code in range(0xFF01, 0xFF5F)) + "\u3000"
_NARROW = "".join(chr(code) for code in range(0x21, 0x7F)) + " "


@dataclass(frozen=True)
class Level:
    """One level of agreement. `sql` is None for "anything else".

    `m` and `home` are where learning starts: how often the level is seen between two records of
    one person, and between two people of one household.
    """

    name: str
    sql: str | None
    m: float
    home: float


@dataclass(frozen=True)
class Field:
    """A declared field and its kind."""

    name: str
    kind: str


def prepared_columns(field: Field, raw: str, key: str | None) -> list[str]:
    """Return the select expressions of a field's columns; `raw` is the SQL of its value."""
    text = _spelled(field.kind, raw)
    alternative = {
        "name": f"nullif(array_to_string(list_sort(string_split({text}, ' ')), ''), '')",
        "email": f"nullif(split_part({text}, '@', 1), '')",
    }.get(field.kind, f"nullif(replace({text}, ' ', ''), '')")
    numbers = f"nullif(array_to_string(regexp_extract_all({text}, '[0-9]+'), '.'), '')"
    return [
        f"{text} AS {field.name}_text",
        f"{alternative} AS {field.name}_alt",
        f"CASE WHEN {text} IS NOT NULL THEN {key or text} END AS {field.name}_key",
        *([f"{numbers} AS {field.name}_numbers"] if field.kind == "address" else []),
        *(_in_latin(field, raw) if field.kind in NAMES else []),
        *(_family_and_given(field, raw) if field.kind == "name" else []),
    ]


def levels(field: Field, fields: Sequence[Field]) -> list[Level]:
    """Return the levels of agreement of a field, most alike first, "anything else" last."""
    text = f"{field.name}_text"
    alt = f"{field.name}_alt"
    exact, one_edit = f"{text}_l = {text}_r", _within(alt, 1)
    length = f"least(length({alt}_l), length({alt}_r))"
    if field.kind == "name":
        return [
            Level("exact", exact, 0.80, 0.01),
            Level("reordered", f"{alt}_l = {alt}_r", 0.03, 0.01),
            Level("near", f"{length} >= 4 AND {one_edit}", 0.08, 0.02),
            Level(
                "similar",
                f"({length} >= 6 AND {_within(alt, 2)}) OR {_likeness(alt)} >= 0.92",
                0.04,
                0.05,
            ),
            Level("alike", f"{_likeness(alt)} >= 0.8", 0.02, 0.2),
            Level("in the other script", _other_script(field), 0.01, 0.01),
            Level("else", None, 0.02, 0.70),
        ]
    if field.kind in ("given_name", "surname"):
        home = field.kind == "surname"
        return [
            Level("exact", exact, 0.80, 0.80 if home else 0.02),
            *_exchanged(field, fields),
            Level("near", f"{length} >= 3 AND {one_edit}", 0.08, 0.05 if home else 0.02),
            # "J." and "Jane", "Ben" and "Benjamin", one surname of two.
            Level("cut short", _begins(alt), 0.02, 0.02 if home else 0.01),
            Level(
                "similar",
                f"({length} >= 6 AND {_within(alt, 2)}) OR {_likeness(alt)} >= 0.88",
                0.05,
                0.02 if home else 0.05,
            ),
            Level("in the other script", _other_script(field), 0.01, 0.05 if home else 0.01),
            Level("else", None, 0.05, 0.07 if home else 0.89),
        ]
    if field.kind == "birth_date":
        swapped = (
            f"length({text}_l) = 8 AND length({text}_r) = 8"
            f" AND left({text}_l, 4) = left({text}_r, 4)"
            f" AND substr({text}_l, 5, 2) = substr({text}_r, 7, 2)"
            f" AND substr({text}_l, 7, 2) = substr({text}_r, 5, 2)"
        )
        return [
            Level("exact", exact, 0.85, 0.01),
            Level("day and month swapped", swapped, 0.02, 0.001),
            Level("near", _within(text, 1), 0.07, 0.01),
            Level("similar", _within(text, 2), 0.03, 0.06),
            Level("else", None, 0.03, 0.92),
        ]
    if field.kind == "address":
        numbers = f"{field.name}_numbers"
        few_edits = f"({length} >= 5 AND {one_edit}) OR ({length} >= 10 AND {_within(alt, 2)})"
        return [
            Level("exact", f"{alt}_l = {alt}_r", 0.60, 0.85),
            *_exchanged(field, fields),
            # One edit in a house number is the neighbour.
            Level(
                "near",
                f"{numbers}_l IS NOT DISTINCT FROM {numbers}_r AND ({few_edits})",
                0.10,
                0.05,
            ),
            # "12 Park Road, Apt 5" and "Park Rd. 12-5".
            Level(
                "same numbers",
                f"{numbers}_l LIKE '%.%' AND {numbers}_l = {numbers}_r AND {_likeness(alt)} >= 0.6",
                0.07,
                0.05,
            ),
            Level("similar", f"{_likeness(alt)} >= 0.9 OR {_shared_words(text)}", 0.10, 0.03),
            Level("else", None, 0.13, 0.02),
        ]
    if field.kind == "phone":
        return [
            Level("exact", exact, 0.60, 0.10),
            Level("near", f"{length} >= 7 AND {one_edit}", 0.05, 0.01),
            Level("else", None, 0.35, 0.89),
        ]
    if field.kind == "email":
        # No looser level: addresses are made from names, and two of one name are not one person.
        return [
            Level("exact", exact, 0.50, 0.05),
            Level("same part before the @", f"{length} >= 6 AND {alt}_l = {alt}_r", 0.05, 0.01),
            Level("near", f"{length} >= 8 AND {one_edit}", 0.10, 0.01),
            Level("else", None, 0.35, 0.93),
        ]
    if field.kind == "postcode":
        return [
            Level("exact", exact, 0.75, 0.95),
            Level("near", f"{length} >= 3 AND {one_edit}", 0.10, 0.02),
            Level("else", None, 0.15, 0.03),
        ]
    if field.kind in ("street_number", "code"):
        home = field.kind == "street_number"
        return [
            Level("exact", f"{alt}_l = {alt}_r", 0.80, 0.95 if home else 0.05),
            Level("near", f"{length} >= 2 AND {one_edit}", 0.08, 0.02),
            Level("else", None, 0.12, 0.03 if home else 0.93),
        ]
    if field.kind == "times_seen":
        # Who is seen often shows several keys together sooner or later. The more both of two have
        # been seen without one in common, the less they are one person.
        return [
            Level("one of them once", f"'1' IN ({text}_l, {text}_r)", 0.9, 0.75),
            Level("else", None, 0.1, 0.25),
        ]
    home = field.kind in SHARED_AT_HOME
    return [
        Level("exact", f"{alt}_l = {alt}_r", 0.75, 0.95 if home else 0.2),
        Level("near", f"{length} >= 3 AND {one_edit}", 0.08, 0.02),
        Level("similar", f"{_likeness(alt)} >= 0.9", 0.05, 0.01 if home else 0.03),
        Level("else", None, 0.12, 0.02 if home else 0.75),
    ]


def not_comparable(field: Field, fields: Sequence[Field]) -> str:
    """SQL of when a field says nothing of a pair.

    That is when a side is empty, when a field before it was found in its column and its own value
    in theirs (one event, which must not count twice), or when a name in Hangul meets one in Latin
    that is not its transcription: many people have a name of their own in each.
    """
    before = _partners(field, fields[: fields.index(field)])
    nothing = [f"{field.name}_text_l IS NULL", f"{field.name}_text_r IS NULL"]
    nothing += [_crossed(partner, field) for partner in before]
    if field.kind in NAMES:
        nothing.append(f"({_two_scripts(field)} AND NOT {_other_script(field)})")
    return " OR ".join(nothing)


def block_keys(field: Field) -> dict[str, list[str]]:
    """Return a field's blocking keys by where they look, each loosest first, the whole value last.

    A slip at the start leaves the end as it is. A field that is too coarse has none.
    """
    text, alt = f"{field.name}_text", f"{field.name}_alt"
    if field.kind == "state" or field.kind in MEASURED:
        return {}
    if field.kind == "birth_date":
        return {"start": [f"left({text}, 4)", text], "end": [f"right({text}, 4)", text]}
    if field.kind == "phone":
        return {"start": [f"right({text}, 4)", f"right({text}, 7)", text]}
    if field.kind in ("street_number", "postcode", "code"):
        return {"start": [alt]}
    if field.kind == "email":
        return {"start": [alt, text]}
    return {
        "start": [f"left({alt}, 3)", f"left({alt}, 6)", alt],
        "end": [f"right({alt}, 3)", f"right({alt}, 6)", alt],
    }


def _two_scripts(field: Field) -> str:
    # Typed Hangul begins with a capital, all else is lower case.
    hangul = [f"({field.name}_alt_{side} BETWEEN 'A' AND 'T')" for side in "lr"]
    return f"{hangul[0]} <> {hangul[1]}"


def _other_script(field: Field) -> str:
    either_order = ", ".join(_likeness(f"{field.name}_latin_{i}") for i in range(2))
    return f"({_two_scripts(field)} AND greatest({either_order}) >= 0.9)"


def _spelled(kind: str, raw: str) -> str:
    if kind in ("birth_date", "phone"):
        return f"nullif(regexp_replace({_plain(raw)}, '[^0-9]', '', 'g'), '')"
    if kind == "email":
        return f"nullif(trim({_plain(raw)}), '')"
    return f"nullif({_typed(_words(raw))}, '')"


def _plain(raw: str) -> str:
    value = f"nfc_normalize(left(CAST({raw} AS VARCHAR), {LONGEST}))"
    return f"lower(translate(strip_accents({value}), '{_quoted(_WIDE)}', '{_quoted(_NARROW)}'))"


def _words(raw: str) -> str:
    return f"trim(regexp_replace({_plain(raw)}, '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))"


def _in_latin(field: Field, raw: str) -> list[str]:
    """Return select expressions of a name in Latin letters, the family's name first and last."""
    words = _words(raw)
    letters = f"replace({words}, ' ', '')"
    first = _surname_in_latin(letters)
    rest = _by_syllable(f"substr({letters}, 2)")
    orders = [_by_syllable(letters)] * 2
    if field.kind != "given_name":
        orders = [f"{first} || {rest}", f"{rest} || {first}"]
    return [
        f"CASE WHEN {_has_hangul(words)} THEN {transcribed} ELSE {letters} END"
        f" AS {field.name}_latin_{i}"
        for i, transcribed in enumerate(orders)
    ]


def _family_and_given(field: Field, raw: str) -> list[str]:
    """Return select expressions of the family's word and the rest: of Hangul the first syllable.

    Elsewhere the family may stand first or last: each word is taken for it, in Latin letters.
    """
    words = _words(raw)
    split = f"string_split({words}, ' ')"
    others = f"array_to_string(list_sort(list_filter({split}, lambda o: o <> w)), ' ')"
    return [
        f"CASE WHEN {_has_hangul(words)} THEN [{_surname_in_latin(words)}]"
        f" WHEN {words} <> '' THEN {split} END AS {field.name}_family",
        f"CASE WHEN {_has_hangul(words)} THEN [substr(replace({words}, ' ', ''), 2)]"
        f" WHEN {words} <> '' THEN list_transform({split}, lambda w: {others}) END"
        f" AS {field.name}_given",
    ]


def _surname_in_latin(letters: str) -> str:
    cases = " ".join(f"WHEN '{ours}' THEN '{theirs}'" for ours, theirs in _LATIN_SURNAMES.items())
    return f"(CASE left({letters}, 1) {cases} ELSE {_by_syllable(f'left({letters}, 1)')} END)"


def _by_syllable(syllables: str) -> str:
    code = "(ord(c) - 44032)"
    parts = (
        f"{_list(_LATIN_INITIALS)}[CAST({code} // 588 AS BIGINT) + 1]"
        f" || {_list(_LATIN_VOWELS)}[CAST({code} % 588 // 28 AS BIGINT) + 1]"
        f" || {_list(_LATIN_FINALS)}[CAST({code} % 28 AS BIGINT) + 1]"
    )
    return _each_syllable(syllables, parts)


def _has_hangul(text: str) -> str:
    return f"regexp_matches({text}, '[가-힣]')"


def _each_syllable(text: str, parts: str) -> str:
    return (
        f"array_to_string(list_transform(string_split({text}, ''), lambda c:"
        f" CASE WHEN ord(c) BETWEEN 44032 AND 55203 THEN {parts} ELSE c END), '')"
    )


def _typed(words: str) -> str:
    """SQL that writes Hangul syllables as the keys that type them."""
    code = "(ord(c) - 44032)"
    keys = (
        f"substr('{_CONSONANTS}', CAST({code} // 588 AS BIGINT) + 1, 1)"
        f" || {_list(_VOWELS)}[CAST({code} % 588 // 28 AS BIGINT) + 1]"
        f" || {_list(_FINALS)}[CAST({code} % 28 AS BIGINT) + 1]"
    )
    return f"CASE WHEN {_has_hangul(words)} THEN {_each_syllable(words, keys)} ELSE {words} END"


def _exchanged(field: Field, fields: Sequence[Field]) -> list[Level]:
    """Values that stand in each other's column: given name and surname, two address lines."""
    after = _partners(field, fields[fields.index(field) + 1 :])
    if not after:
        return []
    crossed = " OR ".join(_crossed(field, partner) for partner in after)
    return [Level("in each other's column", crossed, 0.01, 0.001)]


def _partners(field: Field, fields: Sequence[Field]) -> list[Field]:
    return [f for f in fields if f.kind == _EXCHANGED_WITH.get(field.kind)]


def _crossed(field: Field, partner: Field) -> str:
    """SQL of whether both are alike crosswise, or one empty.

    One alone is not enough: a name in the wrong column may be the family's.
    """
    one, other = f"{field.name}_alt", f"{partner.name}_alt"
    pairs = [(f"{one}_l", f"{other}_r"), (f"{one}_r", f"{other}_l")]
    equal = " OR ".join(f"{left} = {right}" for left, right in pairs)
    alike = " AND ".join(
        f"coalesce(jaro_winkler_similarity({left}, {right}) >= 0.88, TRUE)" for left, right in pairs
    )
    return f"({one}_l <> {one}_r AND ({equal}) AND {alike})"


def _begins(column: str) -> str:
    return f"(starts_with({column}_l, {column}_r) OR starts_with({column}_r, {column}_l))"


def _within(column: str, edits: int) -> str:
    """SQL of whether so few edits, one or two, make one text the other.

    Counting edits is most of the work of comparing, and mostly for nothing: they change the length
    by no more than their number, and one leaves the first half or the second as it is.
    """
    left, right = f"{column}_l", f"{column}_r"
    possible = f"abs(length({left}) - length({right})) <= {edits}"
    if edits == 1:
        half = f"(least(length({left}), length({right})) - 1) // 2"
        possible += (
            f" AND (left({left}, {half}) = left({right}, {half})"
            f" OR right({left}, {half}) = right({right}, {half}))"
        )
    return f"({possible} AND damerau_levenshtein({left}, {right}) <= {edits})"


def _likeness(column: str) -> str:
    return f"jaro_winkler_similarity({column}_l, {column}_r)"


def _shared_words(column: str) -> str:
    left, right = (f"string_split({column}_{side}, ' ')" for side in "lr")
    return (
        f"(length({column}_l) > 8 AND length({column}_r) > 8 AND"
        f" 2 * len(list_intersect({left}, {right})) > greatest(len({left}), len({right})))"
    )


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
