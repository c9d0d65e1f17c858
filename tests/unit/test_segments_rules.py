"""segments.yml is checked before it runs, with every mistake named at once."""

from pathlib import Path

import polars as pl
import pytest

from segments import rules

ROOT = Path(__file__).parents[2]
SCHEMA = pl.Schema(
    {
        "customer_id": pl.String,
        "recency_days": pl.Int64,
        "frequency": pl.Int64,
        "monetary_amount": pl.Decimal(18, 4),
        "first_order_date": pl.Date,
        "is_contactable_by_mail": pl.Boolean,
        "rfm_segment": pl.String,
        "cluster_name": pl.String,
        "churn_score": pl.Float64,
    }
)


@pytest.mark.parametrize(
    "rule",
    [
        "frequency >= 3 and recency_days <= 7",
        "not (frequency between 1 and 2) OR churn_score IS NULL",
        "monetary_amount < 0.5 * frequency and is_contactable_by_mail",
        "first_order_date >= date '2017-10-01'",
        "cluster_name in ('it''s (big)', 'x') and rfm_segment not like 'l%'",
    ],
)
def test_a_sound_rule_passes(rule):
    assert rules.check_rule(rule, SCHEMA) == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("recencydays <= 7", "did you mean recency_days?"),
        ("height > 7", "a rule may use: customer_id"),
        ("frequency", "not true or false"),
        ("1 < 2", "names no column"),
        ("frequency >=", "polars cannot run it"),
        ("frequency > '3'", "polars cannot run it"),
        ("first_order_date > 20171001", "date compared with a number"),
        ("2017 <= first_order_date", "date compared with a number"),
        ("frequency / recency_days > 1", "multiply instead"),
        ("frequency > 1 -- and false", "'--' is not allowed"),
        ("frequency > 1; drop", "';' is not allowed"),
        ("read_csv('/etc/passwd') = 'x'", "is a function"),
        ("random() > 0.5", "is a function"),
        ("date(first_order_date) = 1", "is not allowed"),
        ("frequency in (select frequency from self)", "unknown column 'select'"),
        ('"frequency" > 1', "is not allowed"),
        ("frequency::text = '1'", "':' is not allowed"),
    ],
)
def test_an_unsound_rule_is_refused_with_what_to_do(rule, expected):
    problems = rules.check_rule(rule, SCHEMA)
    assert expected in " | ".join(problems)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    path = tmp_path / "segments.yml"
    path.write_text(
        """
rules:
  - {id: a, name: A, description: d, rule: "recencydays <= 7"}
  - {id: a, name: A, description: d, rule: "frequency > 1"}
  - {id: b, name: B, rule: "frequency > 1", colour: red}
  - {id: "Not an id", name: C, description: d, rule: "frequency > 1"}
columns:
  - {from: rfm_segmnt, prefix: rfm, description: d}
  - {from: frequency, prefix: f, description: d}
""",
        encoding="utf-8",
    )
    with pytest.raises(rules.SegmentsFileError) as caught:
        rules.load(path, SCHEMA)
    told = "\n".join(caught.value.problems)
    for expected in (
        "segment 'a': rule `recencydays <= 7`: unknown column",
        "segment 'a' is declared 2 times",
        "segment name 'A' is declared 2 times",
        "segment 'b': description: is missing",
        "segment 'b': colour: is not a key",
        "segment 'Not an id': id:",
        "did you mean rfm_segment?",
        "column 'frequency' holds Int64, not text",
    ):
        assert expected in told
    assert all(str(path) in problem for problem in caught.value.problems)


@pytest.mark.parametrize("text", ["", "rules: 3", "- a", "rules: [1, {}]", "a: [", "columns:"])
def test_a_file_of_another_shape_is_no_crash(tmp_path, text):
    path = tmp_path / "segments.yml"
    path.write_text(text, encoding="utf-8")
    if text == "":
        assert rules.load(path, SCHEMA).rules == ()
    else:
        with pytest.raises(rules.SegmentsFileError):
            rules.load(path, SCHEMA)


def test_a_column_becomes_one_segment_for_each_value(tmp_path):
    path = tmp_path / "segments.yml"
    path.write_text(
        """
rules:
  - {id: leaving, name: Leaving, description: d, rule: "churn_score > 0.6 and frequency > 1"}
columns:
  - from: rfm_segment
    prefix: rfm
    description: common
    values: {at risk: {name: At risk!, description: act}, lost: {name: Lost, description: rest}}
  - {from: cluster_name, prefix: cluster, description: alike}
""",
        encoding="utf-8",
    )
    profile = pl.DataFrame(
        {
            "rfm_segment": ["at risk", "champions", None],
            "cluster_name": ["충성 고객", "Bob's", None],
        }
    )
    segments = rules.expand(rules.load(path, SCHEMA), profile)
    found = [(s.segment_id, s.name, s.kind, s.rule) for s in segments]
    assert found == [
        ("leaving", "Leaving", "hybrid", "churn_score > 0.6 and frequency > 1"),
        ("rfm_at_risk", "At risk!", "rfm", "rfm_segment = 'at risk'"),
        ("rfm_lost", "Lost", "rfm", "rfm_segment = 'lost'"),
        ("rfm_champions", "Champions", "rfm", "rfm_segment = 'champions'"),
        ("cluster_bobs", "Bob's", "model", "cluster_name = 'Bob''s'"),
        ("cluster_충성_고객", "충성 고객", "model", "cluster_name = '충성 고객'"),
    ]
    assert rules.dim_segments(segments)["display_order"].to_list() == [1, 2, 3, 4, 5, 6]
