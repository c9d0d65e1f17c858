"""The report is one page that loads nothing, tells no id, and is the same for the same data."""

import base64
import json
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import polars as pl
import pytest

from ml.cluster_candidates import ClusterSettings
from report import charts, pictures
from report.page import ReportData, churn_quality, count, money, render, share

TODAY = date(2017, 12, 31)
HOSTILE = '</script><b>큰 손 & "regulars"</b>'
SCHEMAS = {
    "customer_rfm": {
        "customer_id": pl.String,
        "recency_days": pl.Int64,
        "frequency": pl.Int64,
        "monetary_amount": pl.Decimal(18, 4),
        "recency_score": pl.Int32,
        "frequency_score": pl.Int32,
        "monetary_score": pl.Int32,
        "rfm_segment": pl.String,
    },
    "cohort_retention": {
        "cohort_month": pl.Date,
        "months_since": pl.Int64,
        "cohort_customer_count": pl.Int64,
        "active_customer_count": pl.Int64,
        "retention_share": pl.Float64,
    },
    "cluster_assignments": {
        "customer_id": pl.String,
        "cluster_name": pl.String,
        "map_x": pl.Float64,
        "map_y": pl.Float64,
        "map_z": pl.Float64,
    },
    "churn_scores": {"churn_score": pl.Float64},
    "lifetime_values": {
        "customer_id": pl.String,
        "horizon_days": pl.Int32,
        "expected_order_count": pl.Float64,
        "expected_value_amount": pl.Float64,
        "value_decile": pl.Int32,
    },
    "model_runs": {
        "model_name": pl.String,
        "as_of_date": pl.Date,
        "metrics": pl.String,
        "is_champion": pl.Boolean,
    },
    "model_refusals": {"model_name": pl.String, "reason": pl.String},
    "dim_segments": {
        "segment_id": pl.String,
        "segment_name": pl.String,
        "description": pl.String,
        "kind": pl.String,
        "rule": pl.String,
        "display_order": pl.Int32,
    },
    "segment_scorecard": {
        "segment_id": pl.String,
        "customer_count": pl.Int64,
        "customer_share": pl.Float64,
        "revenue_amount": pl.Decimal(38, 4),
        "revenue_share": pl.Float64,
        "response_share": pl.Float64,
        "mean_churn_score": pl.Float64,
        "closest_segment_id": pl.String,
    },
    "load_ledger": {
        "source": pl.String,
        "entity": pl.String,
        "status": pl.String,
        "rows_read": pl.Int64,
        "rows_loaded": pl.Int64,
        "rows_quarantined": pl.Int64,
    },
    "gate_results": {
        "gate": pl.String,
        "table_schema": pl.String,
        "table_name": pl.String,
        "rule": pl.String,
        "column_name": pl.String,
        "is_success": pl.Boolean,
        "unexpected_count": pl.Int64,
        "checked_at": pl.Datetime,
    },
}
METRICS = {
    "holdout_date": "2017-12-03",
    "base_rate": 0.19,
    "model": {"roc_auc": 0.88, "pr_auc": 0.62, "brier": 0.09},
    "recency_only": {"roc_auc": 0.812},
    "lift": [
        {"decile": d, "customer_count": 10, "churned_count": n, "churned_share": n / 10}
        for d, n in enumerate([9, 4, 2, 1, 1, 1, 1, 0, 0, 0], start=1)
    ],
    "calibration": [
        {
            "score_from": 0.1 * band,
            "mean_churn_score": 0.1 * band + 0.05,
            "churned_share": 0.1 * band,
            "customer_count": 10,
        }
        for band in range(10)
    ],
    "importance": [
        {"feature": "recency_days", "subject": "rhythm", "share": 0.4},
        {"feature": "mean_gap_days", "subject": "rhythm", "share": 0.35},
        {"feature": "order_count_90d", "subject": "orders", "share": 0.25},
    ],
}
RESPONSE_METRICS = {
    "base_rate": 0.21,
    "intervals": {
        "unplanned_campaign": {"roc_auc": [0.84, 0.82, 0.86]},
        "past_share_only": {"roc_auc": [0.71, 0.69, 0.73]},
    },
    "lift": [
        {"decile": d, "row_count": 500, "event_count": 5 * n, "event_share": n / 100}
        for d, n in enumerate([81, 40, 30, 20, 10, 10, 10, 5, 3, 1], start=1)
    ],
    "calibration": [
        {"mean_score": 0.15, "event_share": 0.13, "row_count": 4321},
        {"mean_score": 0.75, "event_share": 0.81, "row_count": 679},
    ],
}
# Of a model that was judged before its tables were kept.
DEPARTMENT_METRICS = {
    "base_rate": 0.3,
    "intervals": {
        "model": {"roc_auc": [0.93, 0.92, 0.94]},
        "recency_only": {"roc_auc": [0.89, 0.88, 0.9]},
    },
}
VALUE_METRICS = {
    "holdout_date": "2017-12-03",
    "model": {"top_decile_share": 0.33, "spearman": 0.78, "total_ratio": 0.97, "rmse": 105.4},
    "floor": {"top_decile_share": 0.31, "spearman": 0.75, "total_ratio": 1.04, "rmse": None},
    "cut_offs": [
        {
            "intervals": {
                "model": {
                    "top_decile_share": [0.33, 0.31, 0.35],
                    "spearman": [0.78, 0.77, 0.79],
                    "total_ratio": [0.97, 0.95, 0.99],
                    "rmse": [105.4, 99.6, 111.2],
                }
            }
        }
    ],
    "last_period": {"top_decile_share": 0.3, "spearman": 0.7, "total_ratio": 1.0, "rmse": 120.0},
    "tenths": [
        {
            "decile": d,
            "customer_count": 10,
            "mean_expected_amount": 110.0 - d,
            "mean_actual_amount": 100.0 - d,
            "actual_share": 0.1,
        }
        for d in range(1, 11)
    ],
}
CANDIDATE = {
    "view": "rfm",
    "method": "ward",
    "k": 4,
    "stability": None,
    "smallest_share": 0.1,
    "largest_share": 0.4,
    "repurchase_roc_auc": 0.8,
    "spend_explained_share": 0.3,
    "silhouette": 0.4,
    "is_chosen": False,
    "reason": "says less of the next period",
}
CHOICE = {
    "method": "k-means",
    "fitted_because": "no clusters are kept yet",
    "stability": 0.93,
    "repurchase_roc_auc": 0.852,
    "spend_explained_share": 0.39,
    "candidates": [
        CANDIDATE,
        CANDIDATE | {"is_chosen": True, "method": "k-means", "reason": "chosen: says most"},
        dict.fromkeys(CANDIDATE)
        | {"view": "rfm", "method": "hdbscan", "is_chosen": False, "reason": "no groups found"},
    ],
}
ROWS = {
    "customer_rfm": [
        (f"secret-{n}", n, 5, Decimal("10.5"), 1 + n % 5, 3, 4, "at risk") for n in range(20)
    ],
    "cohort_retention": [
        (date(2017, 11, 1), 0, 20, 20, 1.0),
        (date(2017, 11, 1), 1, 20, 10, 0.5),
    ],
    "cluster_assignments": [
        (f"secret-{n}", HOSTILE, n * 0.5, n * -0.25, n * 0.1) for n in range(20)
    ],
    "churn_scores": [(n / 20,) for n in range(20)],
    "lifetime_values": [
        (f"secret-{n}", 28, 1.5, 100.0 if n < 2 else 25.0, n // 2 + 1) for n in range(20)
    ],
    "model_runs": [
        ("churn_scores", TODAY - timedelta(28), json.dumps(METRICS), True),
        ("churn_scores", TODAY, json.dumps(METRICS | {"base_rate": 0.99}), False),
        ("cluster_assignments", TODAY, json.dumps(CHOICE), True),
        ("lifetime_value_28d", TODAY, json.dumps(VALUE_METRICS), True),
        ("campaign_responses", TODAY, json.dumps(RESPONSE_METRICS), True),
        ("category_propensity", TODAY, json.dumps(DEPARTMENT_METRICS), True),
    ],
    "dim_segments": [
        ("rfm_at_risk", "At risk!", "Act.", "rfm", "rfm_segment = 'at risk'", 2),
        ("leaving", "Leaving", "Call.", "hybrid", "churn_score > 0.3 and frequency > 1", 1),
        ("cluster_x", HOSTILE, "Alike.", "model", "cluster_name = 'it''s'", 3),
        ("empty", "Empty one", "None.", "rule", "frequency > 99", 4),
    ],
    "segment_scorecard": [
        ("rfm_at_risk", 20, 0.5, Decimal("1234.56"), 1.0, 0.25, 0.2, None),
        ("leaving", 4, 0.1, Decimal("2000000"), 0.5, None, 0.5, "rfm_at_risk"),
        ("cluster_x", 20, 0.5, Decimal("210"), 1.0, 0.25, None, "rfm_at_risk"),
        ("empty", 0, 0.0, Decimal("0"), 0.0, None, None, None),
    ],
    "load_ledger": [
        ("shop", "orders", "loaded", 1_000_000, 999_990, 10),
        ("shop", "orders", "refused", 0, 0, 0),
    ],
    "gate_results": [
        ("marts", "marts", "mart_x", "in_set", "a", False, 7, datetime.fromisoformat("2018-01-01")),
        ("marts", "marts", "mart_x", "gone", "a", False, 7, datetime.fromisoformat("2018-01-01")),
        ("marts", "marts", "mart_x", "in_set", "a", True, 0, datetime.fromisoformat("2018-01-02")),
        ("marts", "marts", "mart_y", "between", "b", True, 0, datetime.fromisoformat("2018-01-01")),
        (
            "marts",
            "marts",
            "mart_y",
            "between",
            "b",
            False,
            12,
            datetime.fromisoformat("2018-01-02"),
        ),
    ],
}


def report_data(rows) -> ReportData:
    frames = {
        table: pl.DataFrame(rows.get(table, []), schema=schema, orient="row")
        for table, schema in SCHEMAS.items()
    }
    return ReportData(
        as_of_date=TODAY,
        currency="USD",
        customer_count=40,
        data_note="Example & data.",
        **frames,
    )


class Page(HTMLParser):
    """What a browser would see: the words, what would be loaded, the specs of the charts."""

    def __init__(self, html):
        super().__init__()
        self.words, self.loads, self.specs, self.ids = [], [], {}, []
        self._in = None
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._in = (tag, attrs)
        self.ids.append(attrs.get("id"))
        self.loads += [
            value
            for name, value in attrs.items()
            if name in ("src", "href", "srcset", "data", "action", "poster")
            and not value.startswith("#")
        ]
        self.loads += re.findall(r"url\([^)]*\)|@import[^;]*", attrs.get("style", ""))

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        tag, attrs = self._in or ("", {})
        if tag == "style":
            self.loads += re.findall(r"url\([^)]*\)|@import[^;]*", data)
        elif tag == "script" and "data-chart" in attrs:
            self.specs[attrs["data-chart"]] = json.loads(data)
        elif tag != "script":
            self.words.append(data)


@pytest.fixture(scope="module")
def html():
    return render(report_data(ROWS))


def test_page_is_self_contained(html):
    page = Page(html)
    assert page.loads == []
    assert "default-src 'none'" in html
    assert "://" not in json.dumps(page.specs)
    assert len(html) < 3_000_000


def test_same_data_gives_the_same_bytes(html):
    assert render(report_data(ROWS)) == html


def test_no_customer_is_named(html):
    assert "secret-" not in html


def test_every_chart_has_its_place_and_a_name_stays_data(html):
    page = Page(html)
    drawn = {
        *("sizes-rule", "sizes-rfm", "sizes-model", "cohorts", "clusters", "clusters-depth"),
        *("lift", "reliability", "score-spread", "value"),
        *("lift-campaign_responses", "reliability-campaign_responses"),
    }
    assert set(page.specs) == drawn
    assert {f"chart-{name}" for name in drawn} <= set(page.ids)
    assert HOSTILE in page.text
    assert HOSTILE in json.dumps(page.specs["clusters"], ensure_ascii=False).replace('\\"', '"')


def test_a_spread_holds_every_score_once():
    scores = pl.Series([0.0, 0.04, 0.05, 0.999, 1.0])
    bands = charts.score_bands(scores)
    assert bands.height == 20
    assert bands.filter(pl.col("customer_count") > 0).rows() == [
        (0.0, 0.05, 2),
        (0.05, 0.1, 1),
        (0.95, 1.0, 2),
    ]


def test_no_two_clusters_share_a_colour():
    positions = range(ClusterSettings().most_k)
    assert len({charts.cluster_colour(position) for position in positions}) == len(positions)


def test_a_picture_stands_alone_and_is_small():
    bands = charts.score_bands(pl.Series([n / 500 for n in range(500)]))
    points = pl.DataFrame({"map_x": range(300), "map_y": range(300), "position": 0})
    centres = pl.DataFrame({"map_x": 1.0, "map_y": 2.0, "position": 0, "cluster_name": "one"})
    drawn = pictures.picture(charts.score_distribution(bands), "Scores")
    dotted = pictures.dotted_picture(charts.cluster_map(points, centres), "Map")
    assert drawn.startswith("![Scores](data:image/svg+xml;base64,")
    assert dotted.startswith("![Map](data:image/png;base64,")
    assert max(len(drawn), len(dotted)) < 32_000  # an event keeps it for ever
    svg = base64.b64decode(drawn.rsplit(",", 1)[1].rstrip(")")).decode()
    assert "#1c5d99" in svg  # the page's accent
    assert "var(" not in svg


def test_words_and_figures(html):
    text = Page(html).text
    assert "Half of the customers have a score of 48% or less; 50% have one of 50% or more." in text
    for said in (
        "Customers 40 20 bought in the last 365 days",
        "“At risk!” is 50% of your customers and brings 100% of revenue.",
        "Act first on “Leaving”: 4 customers who spent $2,000,000 in the last 365 days",
        "with the highest score 90% stopped buying, of all customers 19%.",
        "contained 47% of all who stopped buying",
        "would have found 10%, knowing it all beforehand 53%.",
        "“High” is 32% or more, “raised” 23% or more, “low” under 10%;",
        "Nov 2017 20 50%",
        "in 88 of 100 such pairs",
        "28 $650 $32.50 30 31%",
        "brought in 33% of all sales",
        "Rank correlation 1 is the right order; 0 is a guess. 0.780 0.770 to 0.790 0.750 0.700",
        "Large misses weigh most; lower is better. $105 $100 to $111 – $120",
        "Nobody today: Empty one.",
        "Of 100 pairs of a customer who redeemed and one who did not, the score puts 84 in the",
        "its share of campaigns redeemed before alone, 71.",
        "1 500 405 81%",
        "75% 81% 679",
        "days since the last purchase there alone, 89. The model that serves was judged before its",
        "3 ways to group were compared",
        "in 85 of 100 such pairs the first one's group said so",
        "says less of the next period",
        "no groups found",
        "Rows read 1,000,000 Rows loaded 999,990 Rows in quarantine 10 Files refused 1",
        "1 quality rule failed.",
        "marts.mart_y between b 12",
    ):
        assert said in text
    assert "marts.mart_x" not in text, "a rule that passes again, or is gone, is no failure"


def test_words_that_all_groups_share_are_said_once_and_the_best_group_stands_first():
    dim = [(name, name, "Alike.", "model", f"cluster_name = '{name}'", 1) for name in ("a", "b")]
    card = [
        (name, 9, 0.2, Decimal(revenue), 0.1, None, None, None)
        for name, revenue in zip("ab", (1, 2), strict=True)
    ]
    text = Page(render(report_data(ROWS | {"dim_segments": dim, "segment_scorecard": card}))).text
    assert text.count("Alike.") == 1
    assert "b 9 20% 10% $2 – – a 9" in text


def test_a_first_day_with_nothing_still_gives_a_page():
    few = {"model_refusals": [("churn_scores", "not enough history: 4 customers")]}
    text = Page(render(report_data(few))).text
    for said in (
        "no segments yet",
        "There are no such groups yet.",
        "There is no churn score yet: not enough history: 4 customers.",
        "No value has been predicted yet.",
        "Who redeems a coupon is not known yet.",
    ):
        assert said in text


def test_churn_is_told_by_the_model_that_serves():
    runs = pl.DataFrame(ROWS["model_runs"], schema=SCHEMAS["model_runs"], orient="row")
    found = churn_quality(runs)
    assert found.base_rate == METRICS["base_rate"]
    assert found.subjects.rows() == [("rhythm", 0.75), ("orders", 0.25)]
    assert churn_quality(runs.filter(~pl.col("is_champion"))) is None


def test_a_risk_can_be_high_where_most_customers_stop_buying():
    often = json.dumps(METRICS | {"base_rate": 0.6})
    rows = ROWS | {"model_runs": [("churn_scores", TODAY, often, True)]}
    for score, word in ((0.76, "high"), (0.74, "raised"), (0.6, ""), (0.42, "low")):
        leaving = ("leaving", 4, 0.1, Decimal("2000000"), 0.5, None, score, None)
        text = Page(render(report_data(rows | {"segment_scorecard": [leaving]}))).text
        assert f"– {score:.0%} {word}".strip() + " Size and revenue share" in text
        assert ("Act first on “Leaving”" in text) == (word == "high")


def test_numbers_say_no_more_than_they_know():
    assert [share(v) for v in (None, 0.0, 0.0004, 0.012, 0.0996, 0.456, 1.0)] == [
        "–",
        "0%",
        "<0.1%",
        "1.2%",
        "10%",
        "46%",
        "100%",
    ]
    assert count(1234567) == "1,234,567"
    assert money(Decimal("-1234.5"), "EUR") == "−€1,234"
    assert money(1234.5, "KRW", decimals=2) == "₩1,234"
    assert money(2.5, "CHF", decimals=2) == "CHF 2.50"
