"""Matching: planted people come back, homes stay apart, parameters stay frozen, values stay in."""

import datetime as dt
import itertools
import json
import re
import unicodedata

import duckdb
import numpy as np
import polars as pl
import pytest

from ml.errors import MatchingError
from ml.matching import MatchingModel, MatchingSettings, join_records, train
from ml.matching_estimation import FieldFacts, Patterns, estimate
from ml.matching_families import add_relatives, learned_namesakes
from ml.matching_fields import Field, levels, not_comparable, prepared_columns
from ml.matching_people import PersonTable, Warehouse, match_people, train_on_people

FIELDS = {
    "name": "name",
    "birth_date": "birth_date",
    "address": "address",
    "postcode": "postcode",
    "phone": "phone",
}
SMALL = MatchingSettings(random_pairs=60_000)
SURNAMES = tuple("김이박최정강조윤장임한오서신권황안송류홍")
SYLLABLES = tuple("민서준하지우현도예수영은재성혜진승유채원태경주연호")
ROADS = ("한강로", "세종대로", "느티나무길", "벚꽃로", "도산대로", "월드컵로", "백범로", "평화로")


class Tied:
    """A model that finds every pair twice, equally probable and with other words, in an order."""

    def __init__(self, model: MatchingModel, order: int) -> None:
        self._model, self._order = model, order

    def predict(self, *arguments, **named):
        pairs = self._model.predict(*arguments, **named)
        again = pairs.with_columns(evidence=pl.lit("again ") + pl.col("evidence"))
        return pl.concat([pairs, again][:: self._order])


def company(homes: int = 220, again: float = 0.35, seed: int = 3) -> pl.DataFrame:
    """People in homes; some are recorded a second time with another phone and a slip."""
    draw = np.random.default_rng(seed)

    def pick(values):
        return values[draw.integers(len(values))]

    def phone():
        return f"010{draw.integers(10**7, 10**8)}"

    records = []
    for home in range(homes):
        address = (
            f"서울특별시 {pick(ROADS)} {draw.integers(1, 300)}, {draw.integers(101, 130)}동"
            f" {draw.integers(1, 20)}0{draw.integers(1, 9)}호"
        )
        postcode, surname, landline = f"{draw.integers(10**4, 10**5)}", pick(SURNAMES), phone()
        for _ in range(draw.integers(1, 5)):
            person = f"p{len(records)}"
            born = dt.date(1950, 1, 1) + dt.timedelta(int(draw.integers(22_000)))
            one = {
                "person": person,
                "home": home,
                "name": surname + pick(SYLLABLES) + pick(SYLLABLES),
                "birth_date": born.isoformat() if draw.random() > 0.15 else None,
                "address": address,
                "postcode": postcode,
                "phone": landline if draw.random() < 0.3 else phone(),
            }
            records.append(one)
            if draw.random() < again:
                two = one | {"phone": phone()}
                slip = draw.integers(4)
                if slip == 0:
                    two["name"] = one["name"][:2] + pick(SYLLABLES)
                elif slip == 1 and born.day <= 12:
                    two["birth_date"] = f"{born:%Y-%d-%m}"
                elif slip == 2:
                    two["address"] = address.replace("특별시", "").replace(", ", " ")
                records.append(two)
    order = draw.permutation(len(records))
    return (
        pl.DataFrame([records[i] for i in order])
        .with_row_index("n")
        .with_columns(record_id=pl.format("r{}", pl.col("n").cast(pl.String).str.zfill(5)))
    )


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    return company()


@pytest.fixture
def connection():
    with duckdb.connect() as made:
        yield made


@pytest.fixture(scope="module")
def model(people) -> MatchingModel:
    with duckdb.connect() as made:
        made.register("people", people)
        return train(made, "people", FIELDS, settings=SMALL)


def joined(connection, model, people):
    connection.register("people", people)
    pairs = model.predict(connection, "people", 0.01)
    clusters = join_records(people["record_id"], pairs, model.thresholds["join"])
    found = people.join(clusters, on="record_id")
    together = found.join(found, on="cluster_id").filter(
        pl.col("record_id") < pl.col("record_id_right")
    )
    true = people.join(people, on="person").filter(pl.col("record_id") < pl.col("record_id_right"))
    right = together.filter(pl.col("person") == pl.col("person_right")).height
    return right / max(together.height, 1), right / true.height, pairs


def test_people_recorded_twice_come_back_and_their_families_stay_apart(connection, model, people):
    precision, recall, pairs = joined(connection, model, people)
    assert precision >= 0.98
    assert recall >= 0.85
    assert set(model.thresholds) == {"join", "suggest"}
    assert model.trained_on["expected_precision"] >= 0.98
    said = " ".join(pairs["evidence"])
    assert "name near" in said
    assert "birth_date day and month swapped" in said
    assert "address same numbers" in said


def test_two_classes_would_have_joined_families(connection, model, people):
    """Without the third class, a missing birth date is enough to join brothers."""
    connection.register("people", people)
    kept = model.predict(connection, "people", 0.01)
    content = json.loads(model.to_json()) | {"home_share": 0.0}
    blind = MatchingModel.from_json(json.dumps(content), model.term_frequencies)
    owner = dict(people.select("record_id", "person").iter_rows())

    def wrong(pairs):
        sure = pairs.filter(pl.col("match_probability") >= 0.9)
        return sum(owner[a] != owner[b] for a, b in sure.select("id_a", "id_b").iter_rows())

    assert wrong(kept) <= 2 < 10 < wrong(blind.predict(connection, "people", 0.01))


def test_strangers_of_one_town_are_no_home(connection):
    """Postcode and city are one coincidence, and most who share both live in different homes."""
    draw = np.random.default_rng(5)
    people = company(homes=500, seed=5)
    town = draw.integers(25, size=500)[people["home"]]
    people = people.with_columns(
        postcode=pl.Series([f"{10_000 + 1009 * t}" for t in town]),
        city=pl.Series([f"{SURNAMES[t % 20]}{SYLLABLES[t]}시" for t in town]),
        birth_date=pl.Series([b if draw.random() < 0.4 else None for b in people["birth_date"]]),
    )
    connection.register("people", people)
    fields = {name: name for name in ("name", "birth_date", "address", "postcode", "city")}
    model = train(connection, "people", fields, settings=SMALL)
    learned = {f.name: f for f in model.fields}
    assert model.trained_on["is_m_learned"]
    assert learned["name"].m[0] > 0.7
    assert learned["address"].home[-1] < 0.25
    assert learned["address"].town == pytest.approx(learned["address"].u)
    precision, recall, _ = joined(connection, model, people)
    assert precision >= 0.98
    assert recall >= 0.75


def test_a_given_name_of_the_fashion_proves_less_within_a_family(connection):
    """Two of one home and one full name, without birth dates: how rare is the given name?"""
    people = company(seed=5)
    fashion = people["person"].hash(1) % 3 == 0
    surname = people["name"].str.slice(0, 1)
    people = people.with_columns(name=pl.when(fashion).then(surname + "지은").otherwise("name"))
    connection.register("people", people)
    model = train(connection, "people", FIELDS, settings=SMALL)
    name = next(f for f in model.fields if f.name == "name")
    assert name.home[1] / name.home[0] == pytest.approx(name.m[1] / name.m[0])

    surname_alone = model.term_frequencies.with_columns(family=pl.lit(1.0))
    without = MatchingModel.from_json(model.to_json(), surname_alone)
    pairs, kept = (m.predict(connection, "people", 1e-6) for m in (model, without))
    both = pairs.join(kept, on=["id_a", "id_b"]).join(people, left_on="id_a", right_on="record_id")
    of_home = both.filter(pl.col("evidence") == "name exact; address exact; postcode exact")
    gained = of_home.select("name", n=pl.col("match_weight") - pl.col("match_weight_right"))
    in_fashion = pl.col("name").str.ends_with("지은")
    assert gained.filter(in_fashion)["n"].max() < 0 < gained.filter(~in_fashion)["n"].min()


def test_namesakes_are_likelier_two_where_a_family_lives(connection, model, people):
    connection.register("people", people)
    content = json.loads(model.to_json()) | {"namesakes": {"alone": 1.0, "in_family": 1.0}}
    without = MatchingModel.from_json(json.dumps(content), model.term_frequencies)
    pairs, kept = (m.predict(connection, "people", 1e-6) for m in (model, without))
    lives_with = people.select("record_id", persons=pl.col("person").n_unique().over("home"))
    both = pairs.join(kept, on=["id_a", "id_b"]).join(
        lives_with, left_on="id_a", right_on="record_id"
    )
    of_home = both.filter(pl.col("evidence").str.contains("name exact.*; address exact"))
    gained = of_home.select("persons", n=pl.col("match_weight") - pl.col("match_weight_right"))
    alone, family = (gained.filter(c)["n"] for c in (pl.col("persons") == 1, pl.col("persons") > 2))
    assert family.max() <= 0 <= alone.min()
    assert family.min() < -0.1
    assert alone.max() > 0


def test_two_who_are_both_seen_often_and_share_no_key_are_likelier_two(connection, people):
    """Of the doubles one side was seen once; of all others every second was seen often."""
    is_double = pl.col("record_id").rank().over("person") > 1
    often = pl.col("n") % 2 == 0
    known = people.with_columns(
        times_seen=pl.when(is_double).then(1).when(often).then(5).otherwise(1)
    )
    connection.register("known", known)
    learned = train(connection, "known", FIELDS | {"times_seen": "times_seen"}, settings=SMALL)
    (seen,) = [f for f in learned.fields if f.name == "times_seen"]
    both_often = (known["times_seen"] > 1).mean() ** 2
    assert seen.m[-1] < both_often / 3
    assert (seen.u[-1], seen.home[-1]) == pytest.approx((both_often, both_often), abs=0.03)
    assert "times_seen" not in set(learned.term_frequencies["field"])

    def probability(*times):
        one = people.filter(pl.col("birth_date").is_not_null()).head(1)
        two = pl.concat([one, one.with_columns(record_id=pl.lit("s"), birth_date=None)])
        connection.register("two", two.with_columns(times_seen=pl.Series(times)))
        (pair,) = learned.predict(connection, "two", 0.01).iter_rows(named=True)
        assert "times_seen" not in pair["evidence"]
        return pair["match_probability"]

    assert probability(4, 4) < probability(4, 1) == probability(1, 1)


def test_a_relative_is_another_name_of_the_family_at_the_address(connection):
    connection.execute(
        """
        CREATE TABLE dsegment_records AS SELECT * FROM (VALUES
            (1, 'a', 'p1', 'home', 'ALIKMINJUN', ['kim']),
            (2, 'b', 'p1', 'home', 'ALIKSEOYEON', ['kim']),   -- another name of the same person
            (3, 'c', 'p2', 'home', 'ALIKMINJAN', ['kim']),    -- a slip of one key
            (4, 'd', 'p3', 'home', 'LIKHAEUN', ['lee']),      -- of another family
            (5, 'e', 'p4', 'home', 'kimjiwoo', ['kim']),      -- nobody knows who that is in Hangul
            (6, 'f', 'p5', 'away', 'ALIKDOYUN', ['kim']),
            (7, 'g', 'p6', 'home', 'ALIKDOYUN', ['kim']),
            (8, 'h', 'p7', 'home', 'ALIKDOYUN', ['kim']),     -- one relative more, not two
            (9, 'i', 'p8', NULL, 'ALIKDOYUN', ['kim'])
        ) AS t(unique_id, record_id, known_group, address_alt, name_alt, name_family)
        """
    )
    declared = [Field("name", "name"), Field("address", "address")]
    add_relatives(connection, declared, MatchingSettings())
    found = connection.execute("SELECT unique_id, relatives FROM dsegment_records").fetchall()
    assert dict(found) == {1: 1, 2: 2, 3: 2, 4: 0, 5: 0, 6: 0, 7: 3, 8: 3, 9: None}
    # People's relatives: 2, 2, 0, 0, 0, 3, 3, of whom nobody has just one.
    learned = learned_namesakes(connection)
    assert learned["alone"] == pytest.approx((1 / 12) / (4 / 9))
    assert learned["in_family"] == pytest.approx((11 / 12) / (5 / 9))


def test_the_same_records_give_the_same_model_in_any_order(connection, model, people):
    connection.register("people", people.sample(fraction=1, shuffle=True, seed=5))
    again = train(connection, "people", FIELDS, settings=SMALL)
    assert again.to_json() == model.to_json()
    assert again.term_frequencies.equals(model.term_frequencies)


def test_a_kept_model_scores_new_records_as_it_was_trained(connection, model, people):
    connection.register("people", people)
    before = model.predict(connection, "people", 0.3)
    kept = MatchingModel.from_json(model.to_json(), model.term_frequencies)
    assert kept.predict(connection, "people", 0.3).equals(before)
    # A flood of one name would change frequencies, u and the share of matches, were they learned.
    flood = pl.DataFrame(
        {
            "record_id": [f"z{i}" for i in range(300)],
            "name": [people["name"][0]] * 300,
            "birth_date": [str(dt.date(1960, 1, 1) + dt.timedelta(40 * i)) for i in range(300)],
        }
    )
    connection.register("more", pl.concat([people.drop("n"), flood], how="diagonal"))
    after = kept.predict(connection, "more", 0.3).filter(
        ~pl.col("id_a").str.starts_with("z") & ~pl.col("id_b").str.starts_with("z")
    )
    both = after.join(before, on=["id_a", "id_b"])
    assert both.height >= 0.95 * before.height
    assert (both["match_weight"] - both["match_weight_right"]).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{", "not a file of matching parameters"),
        (lambda text: text.replace('"format": 4', '"format": 1'), "train again"),
        (lambda text: text.replace('"level": "near"', '"level": "close"'), "other levels"),
        (lambda text: text.replace('"field": "name"', '"field": "name; --"'), "no field name"),
    ],
)
def test_parameters_that_no_longer_fit_are_refused(model, change, message):
    with pytest.raises(MatchingError, match=message):
        MatchingModel.from_json(change(model.to_json()), model.term_frequencies)


def test_no_value_is_in_the_parameters_and_keys_stand_in_for_values(connection, people):
    keyed = people.with_columns(
        pl.format("key-of-{}", pl.col(name).hash(7)).alias(f"{name}_key") for name in FIELDS
    )
    connection.register("people", keyed)
    model = train(connection, "people", FIELDS, settings=SMALL)
    texts = set(re.findall(r'"([^"]*)"', model.to_json()))
    for name in FIELDS:
        assert texts.isdisjoint(people[name])
    assert model.term_frequencies["key"].str.starts_with("key-of-").all()


@pytest.mark.parametrize(
    ("sql", "fields", "message"),
    [
        ("SELECT * FROM people LIMIT 12", FIELDS, "not enough records to train: 12, 50 needed"),
        ("SELECT * FROM people LIMIT 0", FIELDS, "not enough records to train: 0, 50 needed"),
        ("SELECT * REPLACE ('x' AS name) FROM people", {"name": "name"}, "no field tells"),
        ("SELECT * REPLACE (NULL AS name) FROM people", {"name": "name"}, "no field tells"),
        ("SELECT * FROM people", {}, "no field is declared"),
        ("SELECT * FROM people", {"name": "nickname"}, "'nickname' is no kind"),
        ("SELECT * FROM people", {"Name; --": "name"}, "is no field name"),
        ("SELECT * FROM people", {"shoe": "text"}, "lacks the column"),
        ("SELECT * FROM nowhere", FIELDS, "there is no table"),
        ("SELECT * REPLACE ('r1' AS record_id) FROM people", FIELDS, "repeated id"),
        ("SELECT * REPLACE (NULL AS record_id) FROM people", FIELDS, "without an id"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing_behind(connection, people, sql, fields, message):
    connection.register("people", people)
    with pytest.raises(MatchingError, match=message):
        train(connection, f"({sql})", fields, settings=SMALL)
    left = connection.sql("SELECT database_name FROM duckdb_databases() WHERE NOT internal")
    assert left.fetchall() == [("memory",)]
    assert connection.sql("SELECT current_database()").fetchall() == [("memory",)]


def test_one_record_or_none_has_no_pair_and_a_constant_field_is_left_out(
    connection, model, people, caplog
):
    connection.register("people", people)
    for count in (0, 1):
        pairs = model.predict(connection, f"(SELECT * FROM people LIMIT {count})")
        assert pairs.is_empty()
        assert pairs.columns[:2] == ["id_a", "id_b"]
    connection.execute("CREATE TABLE same AS SELECT * REPLACE ('1' AS postcode) FROM people")
    other = train(connection, "same", FIELDS, settings=SMALL)
    assert other.left_out == {"postcode": "the same in all records"}
    assert "does not compare postcode" in caplog.text


def test_a_training_that_can_join_nobody_says_so(connection, people, caplog):
    connection.register("people", people)
    weak = train(connection, "people", {"name": "name"}, settings=SMALL)
    assert weak.predict(connection, "people", weak.thresholds["join"]).is_empty()
    assert "matching will join nobody: name" in caplog.text


def test_a_value_of_everybody_is_no_block(connection, caplog):
    caplog.set_level("INFO")
    draw = np.random.default_rng(1)
    records = pl.DataFrame(
        {
            "record_id": [f"r{i:05}" for i in range(4000)],
            "email": ["everybody@shop.example"] * 3900 + [f"own{i}@x.example" for i in range(100)],
            "name": [f"n{i:06}" for i in draw.integers(0, 3000, 4000)],
        }
    )
    connection.register("records", records)
    model = train(connection, "records", {"email": "email", "name": "name"}, settings=SMALL)
    assert model.trained_on["pairs"] <= SMALL.pairs_per_record * 4000
    assert "is dropped: its blocks are all too large" in caplog.text or not any(
        rule == ("email:start/1",) for rule in model.rules
    )


def test_namesakes_are_not_taken_for_people(connection, caplog):
    """A nickname that follows from the name is no second evidence; nobody is there twice."""
    draw = np.random.default_rng(2)
    names = draw.integers(0, 250, 900)
    days = draw.permutation(20_000)[:900]
    records = pl.DataFrame(
        {
            "record_id": [f"r{i:04}" for i in range(900)],
            "name": [f"{'abcdefghij'[n % 10]}{n * 7919:x} {n * 104729:x}" for n in names],
            "nick": [f"nick{n}" for n in names],
            "birth_date": [str(dt.date(1950, 1, 1) + dt.timedelta(int(d))) for d in days],
        }
    )
    connection.register("records", records)
    fields = {"name": "name", "nick": "text", "birth_date": "birth_date"}
    model = train(connection, "records", fields, settings=SMALL)
    assert model.trained_on["is_m_learned"] is False
    assert "birth_date mostly differ" in caplog.text
    namesakes = int((np.bincount(names) * (np.bincount(names) - 1) // 2).sum())
    assert model.predict(connection, "records", 0.9).height < 0.03 * namesakes


def seen_as(connection, fields, left, right):
    """Register the values of two records as `l` and `r`, as they are compared."""
    columns = [c for f in fields for c in prepared_columns(f, f"raw_{f.name}", None)]
    raw = ", ".join(f"${i} AS raw_{f.name}" for i, f in enumerate(fields, 1))
    for side, values in (("l", left), ("r", right)):
        made = connection.execute(f"SELECT {', '.join(columns)} FROM (SELECT {raw})", list(values))
        names = [f"{column[0]}_{side}" for column in made.description]
        connection.register(side, pl.DataFrame([made.fetchall()[0]], schema=names, orient="row"))


def level_of(connection, field, fields):
    cases = " ".join(
        f"WHEN {spec.sql} THEN '{spec.name.replace(chr(39), 2 * chr(39))}'"
        for spec in levels(field, fields)
        if spec.sql
    )
    nothing = not_comparable(field, fields)
    ((found,),) = connection.execute(
        f"SELECT CASE WHEN {nothing} THEN NULL {cases} ELSE 'else' END FROM l, r"
    ).fetchall()
    return found


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        ("김민준", unicodedata.normalize("NFD", "김민준"), "exact"),
        ("Ｋｉｍ Minjun", "kim minjun", "exact"),
        ("José García", "jose garcia", "exact"),
        ("Minjun Kim", "Kim, Minjun", "reordered"),
        ("김민준", "김민중", "near"),  # one key
        ("김승민", "김성민", "near"),
        ("김민준", "이서연", "else"),
        ("최진우", "Jinu Choi", "in the other script"),
        ("최진우", "choi jin-woo", "in the other script"),
        ("김하나", "Hannah Smith", None),  # a name of its own in each script says nothing
        ("김민준", "", None),
    ],
)
def test_names_are_compared_by_the_keys_that_type_them(connection, left, right, level):
    field = Field("name", "name")
    seen_as(connection, [field], [left], [right])
    assert level_of(connection, field, [field]) == level


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        ("J.", "Jane", "cut short"),
        ("Benjamin", "Ben", "cut short"),
        ("Anna", "Anna Maria", "cut short"),
        ("Anna", "Anne", "near"),
        ("J.", "Anna", "else"),
    ],
)
def test_a_given_name_may_be_cut_short(connection, left, right, level):
    field = Field("given_name", "given_name")
    seen_as(connection, [field], [left], [right])
    assert level_of(connection, field, [field]) == level


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        (("Tim", "Diesbergen"), ("Diesbergen", "Tim"), ["in each other's column", None]),
        (("Tim", "Diesbergen"), ("Diesbergn", "Tim"), ["in each other's column", None]),
        (("Tim", None), ("Diesbergen", "Tim"), ["in each other's column", None]),
        (("Tim", "Tim"), ("Tim", "Tim"), ["exact", "exact"]),
        # of one family, one reversed
        (("Tim", "Diesbergen"), ("Diesbergen", "Mirte"), ["else", "else"]),
    ],
)
def test_exchanged_names_are_one_event(connection, left, right, found):
    fields = [Field("given_name", "given_name"), Field("surname", "surname")]
    seen_as(connection, fields, left, right)
    assert [level_of(connection, field, fields) for field in fields] == found


@pytest.mark.parametrize(("letters", "longest"), [("ab", 7), ("a한", 6)])
def test_no_pair_within_an_edit_or_two_is_passed_over(connection, letters, longest):
    """Most pairs are told apart without counting edits; here all are counted."""
    texts = ["".join(t) for n in range(longest) for t in itertools.product(letters, repeat=n + 1)]
    connection.register("texts", pl.DataFrame({"text": texts}))
    field = Field("born", "birth_date")
    within = {level.name: level.sql for level in levels(field, [field])}
    counted = connection.execute(
        f"SELECT damerau_levenshtein(born_text_l, born_text_r) AS edits,"
        f" bool_and({within['near']}), bool_or({within['near']}),"
        f" bool_and({within['similar']}), bool_or({within['similar']}) FROM"
        " (SELECT l.text AS born_text_l, r.text AS born_text_r FROM texts AS l, texts AS r)"
        " GROUP BY edits ORDER BY edits"
    ).fetchall()
    assert len(counted) > longest
    for edits, *found in counted:
        assert found == [edits <= 1] * 2 + [edits <= 2] * 2


def test_of_a_pasted_page_the_beginning_is_compared(connection):
    field = Field("note", "text")
    seen_as(connection, [field], ["x" * 300 + "a"], ["x" * 300 + "b"])
    assert level_of(connection, field, [field]) == "exact"


def test_three_classes_are_told_apart_by_counts_alone():
    """Counts made from known probabilities give these back, families included."""
    own = [[0.9, 0.06, 0.04], [0.95, 0.05, 0]], [[0.002, 0.003, 0.995], [0.001, 0.999, 0]]
    m = np.array([*own[0], *[[0.7, 0.3, 0]] * 3])
    u = np.array([*own[1], *[[0.002, 0.998, 0]] * 3])
    home = np.array([*own[1], *[[0.9, 0.1, 0]] * 3])
    all_pairs, shares = 50e6, {"m": 6e-5, "home": 1.8e-4}
    classes = [(shares["m"], m), (shares["home"], home), (1 - sum(shares.values()), u)]
    level = np.array(list(itertools.product(range(3), *[range(2)] * 4)))
    share = sum(s * p[range(5), level].prod(axis=1) for s, p in classes)
    # Pairs that agree in nothing are what blocking never sees.
    seen = ~(level == [2, 1, 1, 1, 1]).all(axis=1)
    counted = Patterns(level[seen], (all_pairs * share)[seen], np.zeros(seen.sum(), bool))
    sizes = [3, 2, 2, 2, 2]
    start = [np.array([0.7, 0.2, 0.1]), *[np.array([0.8, 0.2])] * 4]
    facts = [
        FieldFacts(
            drawn=sum(s * p[f][:size] for s, p in classes),
            pairs=all_pairs,
            m_start=start[f],
            home_start=start[f],
            is_own=f < 2,
        )
        for f, size in enumerate(sizes)
    ]
    found = estimate(counted, facts, all_pairs)
    assert found.match_share == pytest.approx(shares["m"], rel=0.1)
    assert found.home_share == pytest.approx(shares["home"], rel=0.1)
    for f, size in enumerate(sizes):
        assert found.m[f] == pytest.approx(m[f][:size], abs=0.02)
        assert found.u[f] == pytest.approx(u[f][:size], abs=0.0005)
    assert found.home[2][0] == pytest.approx(0.9, abs=0.03)
    # With two classes, the families have to go somewhere: most become matches.
    two = estimate(counted, facts, all_pairs, with_homes=False)
    assert two.match_share > 2 * shares["m"]


def test_a_chain_is_one_cluster_unless_it_grows_too_large():
    ids = [f"r{i}" for i in range(9)]
    pairs = pl.DataFrame(
        {
            "id_a": ids[:-1],
            "id_b": ids[1:],
            "match_probability": [0.99, 0.98, 0.9, 0.99, 0.99, 0.4, 0.99, 0.99],
            "match_weight": [9.0, 8.0, 3.0, 9.0, 9.0, -1.0, 9.0, 9.0],
        }
    )
    assert join_records(ids, pairs, 0.5)["cluster_id"].to_list() == ["r0"] * 6 + ["r6"] * 3
    assert join_records(ids, pairs.reverse(), 0.5, largest=3)["cluster_id"].to_list() == (
        ["r0"] * 3 + ["r3"] * 3 + ["r6"] * 3
    )
    assert join_records([], pairs.clear(), 0.5).is_empty()


def as_pseudonym(column: str) -> pl.Expr:
    return pl.format("key-{}", pl.col(column).hash(1)).alias(f"{column}_pseudonym")


def test_people_are_matched_inside_the_vault_and_only_pseudonyms_come_out(connection, people):
    names = list(FIELDS)
    vault = people.select(
        pl.lit("file").alias("file_id"),
        pl.col("n").alias("row_number"),
        pl.col("record_id").alias("member_id"),
        *(pl.col(name).alias(f"{name}_normalised") for name in names),
        *(as_pseudonym(name) for name in names),
    ).with_columns(as_pseudonym("member_id"))
    members = vault.select(
        pseudonym="member_id_pseudonym", people_group=pl.col("member_id_pseudonym") + "-group"
    )
    # An order of a member that shares its phone with nobody and tells less than the registration.
    order = vault.head(1).with_columns(
        row_number=pl.lit(9999, pl.UInt32),
        birth_date_normalised=pl.lit(None, pl.String),
        birth_date_pseudonym=pl.lit(None, pl.String),
    )
    refused = vault["phone_pseudonym"][0]
    connection.execute("ATTACH ':memory:' AS vault; CREATE SCHEMA vault.raw")
    connection.register("frame", pl.concat([vault, order]))
    connection.execute("CREATE TABLE vault.raw.members AS FROM frame")
    connection.register("frame", members)
    connection.execute("CREATE TABLE linked AS FROM frame")
    connection.execute(
        "CREATE TABLE judged AS SELECT pseudonym, NULL::VARCHAR AS refused_reason FROM linked;"
        f"CREATE TABLE blocked AS SELECT '{refused}' AS pseudonym, 'placeholder' AS reason"
    )
    connection.execute(
        "CREATE TABLE profiles AS SELECT pseudonym AS customer_key FROM linked;"
        "CREATE TABLE corroborated (people_group VARCHAR, agreed_group VARCHAR)"
    )
    where = Warehouse("linked", "judged", "profiles", "corroborated", "blocked")
    table = PersonTable("vault.raw.members", {name: name for name in names}, ["member_id"])
    model = train_on_people(connection, [table], warehouse=where, settings=SMALL)
    scores = match_people(connection, [table], model, warehouse=where, threshold=0.5)

    person = dict(zip(members["pseudonym"], people["person"], strict=True))
    sure = scores.filter(pl.col("match_probability") >= 0.9)
    right = [
        person[a] == person[b] for a, b in sure.select("pseudonym_a", "pseudonym_b").iter_rows()
    ]
    twice = people.group_by("person").len().filter(pl.col("len") == 2).height
    assert sum(right) >= 0.8 * twice
    assert sum(right) >= 0.98 * len(right)
    assert (scores["pseudonym_a"] < scores["pseudonym_b"]).all()
    assert scores.select("pseudonym_a", "pseudonym_b").is_unique().all()
    assert set(scores["pseudonym_a"]) | set(scores["pseudonym_b"]) <= set(members["pseudonym"])
    assert refused not in model.term_frequencies["key"]
    assert model.term_frequencies["key"].str.starts_with("key-").all()
    values = {v for name in names for v in people[name].drop_nulls()}
    assert not any(value in text for text in scores["evidence"] for value in values)
    one, other = (
        match_people(connection, [table], Tied(model, order), warehouse=where, threshold=0.5)
        for order in (1, -1)
    )
    assert one.equals(other), "which of two equally probable pairs is told must not be chance"
    tables = connection.sql("SELECT database_name, table_name FROM duckdb_tables()").fetchall()
    assert sorted(tables) == [
        ("memory", "blocked"),
        ("memory", "corroborated"),
        ("memory", "judged"),
        ("memory", "linked"),
        ("memory", "profiles"),
        ("vault", "members"),
    ]
