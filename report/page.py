"""The page of the report: which figures a marketer reads, in which words.

Belongs here: choosing, rounding and wording. Does not belong here: how a chart is drawn
(`charts.py`), how the page looks (`template.html.j2`), writing the file (the caller).

The page is made from its input alone: no clock, no network, no draw without a seed, so the same
tables give the same bytes. No identifier of a customer is on it.
"""

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from report import charts
from report.chances import chances
from report.cluster_map import middles, shown
from report.model_runs import champion_metrics
from report.offers import offers

MAP_POINTS = 3_000
COHORTS_SHOWN = 18
_WORTH_A_SENTENCE = 0.005  # of the customers
_LIKELY = 0.5  # more likely to stay away than not
# Times the odds of the average customer, not the chance: where six in ten stay away for 28 days, no
# chance is twice the average, and nobody would be at high risk.
_RISKS = {"high": 2.0, "raised": 1.25, "low": 0.5}
_SUBJECTS_SHOWN = 6
_SUBJECTS = {
    "rhythm": "When they last bought, for their own rhythm",
    "orders": "How often they order",
    "spend": "How much they spend",
    "tenure": "How long they have been a customer",
    "variety": "What is in their baskets",
    "offers": "Discounts, coupons and campaigns",
    "returns": "What they bring back",
    "places": "Where and when they buy",
    "visits": "Visits to web and app",
    "messages": "Messages they open",
    "survey": "What they say in surveys",
}
# What the churn model's metrics call a row and its event.
_EVENT_WORDS = {
    "customer_count": "row_count",
    "churned_count": "event_count",
    "churned_share": "event_share",
    "mean_churn_score": "mean_score",
}
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "KRW": "₩", "CNY": "CN¥", "INR": "₹"}
_KINDS = (
    (("rule", "hybrid", "model_rule"), "Groups for campaigns", "Chosen by a rule you can read."),
    (
        ("rfm",),
        "Groups by recency, frequency and money",
        "Every customer with an order is in exactly one of them.",
    ),
    (
        ("model",),
        "Groups found by the model",
        "Every customer with an order is in exactly one of them. “Who buys alike” shows the "
        "typical customer of each.",
    ),
)


@dataclass(frozen=True)
class ReportData:
    """What the page is made from; each frame has the columns of the table it is named by.

    - customer_rfm (marts.mart_customer_rfm): one row per customer, of as_of_date.
    - cohort_retention (marts.mart_cohort_retention): one row per cohort_month and months_since.
    - cluster_assignments (ml.cluster_assignments): one row per customer, of as_of_date.
    - churn_scores (ml.churn_scores): one row per customer, of as_of_date.
    - lifetime_values (ml.lifetime_values): one row per customer and horizon, of as_of_date.
    - model_runs (ml.model_runs): one row per trained model; `metrics` as JSON text.
    - model_refusals (ml.model_refusals): one row per model that could not be made on as_of_date.
    - dim_segments, segment_scorecard (segments.*): one row per segment.
    - load_ledger (quality.load_ledger): one row per file content and entity.
    - gate_results (quality.gate_results): one row per rule checked; of a table that was checked
      more than once the newest time counts.
    - customer_count: all customers of today, also those without an order (core.dim_customers).
    - data_note: a sentence about where the data comes from, shown under the title.

    Any frame may be empty: its part of the page then says that there is nothing yet.
    """

    as_of_date: date
    currency: str
    customer_count: int
    customer_rfm: pl.DataFrame
    cohort_retention: pl.DataFrame
    cluster_assignments: pl.DataFrame
    churn_scores: pl.DataFrame
    lifetime_values: pl.DataFrame
    model_runs: pl.DataFrame
    model_refusals: pl.DataFrame
    dim_segments: pl.DataFrame
    segment_scorecard: pl.DataFrame
    load_ledger: pl.DataFrame
    gate_results: pl.DataFrame
    data_note: str = ""


@dataclass(frozen=True)
class ChurnQuality:
    """How well the serving churn model did on the holdout.

    `deciles` has a row per tenth by score, `bands` one per tenth of the scale of scores, `subjects`
    one per subject that moves scores, the most important first.
    """

    holdout_date: str
    base_rate: float
    model: dict[str, float]
    baseline: dict[str, float]
    deciles: pl.DataFrame
    bands: pl.DataFrame
    subjects: pl.DataFrame

    @property
    def first_tenth_share(self) -> float:
        """Share of all who stopped buying that the highest tenth holds."""
        return self.deciles["event_count"][0] / max(self.deciles["event_count"].sum(), 1)

    @property
    def best_tenth_share(self) -> float:
        """Share of them that a tenth could hold at most: its size may be less than their number."""
        return min(self.deciles["row_count"][0] / max(self.deciles["event_count"].sum(), 1), 1.0)

    def chance_at(self, times: float) -> float:
        """The chance whose odds are so many times those of the average customer."""
        odds = times * self.base_rate
        return odds / (odds + 1 - self.base_rate)


def render(data: ReportData) -> str:
    """Make the page: one HTML text that needs no other file and no network."""
    churn = churn_quality(data.model_runs)
    segments = _segments(data)
    specs: dict[str, dict[str, Any]] = {}
    groups = _groups(segments, data, churn, specs)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "share": share}
    return environment.get_template("template.html.j2").render(
        as_of=_day(data.as_of_date),
        currency=data.currency,
        data_note=data.data_note,
        headline=_headline(data),
        lead=_lead(segments, data, churn),
        groups=groups,
        grid=_rfm_grid(data),
        cohort=_cohorts(data.cohort_retention, specs),
        clusters=_clusters(data, specs),
        choice=_cluster_choice(data.model_runs),
        churn=_churn(churn, specs),
        spread=_score_spread(data.churn_scores["churn_score"], specs) if churn else None,
        value=_value(data, specs),
        offers=offers(data.model_runs),
        chances=chances(data.model_runs, specs),
        refusals=dict(data.model_refusals.select("model_name", "reason").iter_rows()),
        quality=_quality(data),
        specs={name: _json(spec) for name, spec in specs.items()},
        # Its stub demands an argument that it can do without.
        vega=vl_convert.javascript_bundle(),  # ty: ignore[missing-argument]
    )


def churn_quality(model_runs: pl.DataFrame) -> ChurnQuality | None:
    """Read the metrics of the churn model that serves; the one place that knows their names."""
    metrics = champion_metrics(model_runs, "churn_scores")
    if metrics is None:
        return None
    deciles = pl.DataFrame(metrics["lift"]).rename(_EVENT_WORDS, strict=False).sort("decile")
    bands = pl.DataFrame(metrics["calibration"]).rename(_EVENT_WORDS, strict=False)
    return ChurnQuality(
        holdout_date=metrics["holdout_date"],
        base_rate=metrics["base_rate"],
        model=metrics["model"],
        baseline=metrics["recency_only"],
        deciles=deciles.select("decile", "row_count", "event_count", "event_share"),
        bands=bands.sort("score_from"),
        subjects=pl.DataFrame(metrics["importance"])
        .group_by("subject")
        .agg(pl.col("share").sum().round(4))
        .sort("share", "subject", descending=[True, False]),
    )


def count(value: float | None) -> str:
    """Write a whole number with thousands separators."""
    return "–" if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """Write a share as a percentage that says no more than it knows."""
    if value is None:
        return "–"
    if 0 < value < 0.001:
        return "<0.1%"
    return f"{value:.1%}" if 0 < value < 0.0995 else f"{value:.0%}"


def money(value: Decimal | float | None, currency: str, decimals: int = 0) -> str:
    """Write an amount in its currency, rounded to whole units unless decimals are asked for."""
    if value is None:
        return "–"
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    digits = 0 if currency in ("KRW", "JPY") else decimals
    return f"{'−' if value < 0 else ''}{symbol}{abs(value):,.{digits}f}"


def _day(value: date) -> str:
    return f"{value.day} {value:%B %Y}"


def _headline(data: ReportData) -> list[tuple[str, str, str]]:
    rfm = data.customer_rfm
    active = rfm.filter(pl.col("frequency") > 0).height
    revenue, orders = rfm["monetary_amount"].sum() or 0, rfm["frequency"].sum()
    average = revenue / orders if orders else None
    per_customer = orders / active if active else 0
    return [
        ("Customers", count(data.customer_count), f"{count(active)} bought in the last 365 days"),
        ("Revenue", money(revenue, data.currency), f"last 365 days, {data.currency}"),
        ("Orders", count(orders), f"{per_customer:,.1f} per buying customer"),
        ("Average order", money(average, data.currency, 2), "revenue by order"),
    ]


def _segments(data: ReportData) -> pl.DataFrame:
    joined = data.dim_segments.join(data.segment_scorecard, on="segment_id", how="inner")
    names = data.dim_segments.select(
        closest_segment_id="segment_id", closest_segment_name="segment_name"
    )
    by_column = pl.col("rule").fill_null("").str.contains(r"^cluster_name = '(?:[^']|'')*'$")
    return (
        joined.join(names, on="closest_segment_id", how="left")
        # A rule about the churn score alone is for campaigns, not one of the clusters.
        .with_columns(
            kind=pl.when((pl.col("kind") == "model") & ~by_column)
            .then(pl.lit("model_rule"))
            .otherwise("kind")
        )
        .sort("display_order")
    )


def _lead(segments: pl.DataFrame, data: ReportData, churn: ChurnQuality | None) -> list[str]:
    """Say what matters most, in at most three sentences."""
    said = [_worth(row) for row in _most_worth(segments).iter_rows(named=True)]
    if churn is not None:
        said += [
            _warning(row, data.currency)
            for row in _most_urgent(segments, churn).iter_rows(named=True)
        ]
        said.append(
            "The churn score tells who leaves: of the tenth of customers with the highest score "
            f"{share(churn.deciles['event_share'][0])} stopped buying, of all customers "
            f"{share(churn.base_rate)}."
        )
    return said


def _most_worth(segments: pl.DataFrame) -> pl.DataFrame:
    gain = pl.col("revenue_share") - pl.col("customer_share")
    gaining = segments.filter((pl.col("kind") == "rfm") & (gain > 0))
    return gaining.sort(gain, "segment_id", descending=[True, False]).head(1)


def _worth(row: dict[str, Any]) -> str:
    size, revenue = share(row["customer_share"]), share(row["revenue_share"])
    return f"“{row['segment_name']}” is {size} of your customers and brings {revenue} of revenue."


def _most_urgent(segments: pl.DataFrame, churn: ChurnQuality) -> pl.DataFrame:
    # Only where a rule names both the money and the risk: the risk alone also finds those who left
    # long ago, and are best left in peace.
    return (
        segments.filter(
            (pl.col("kind") == "hybrid")
            & (pl.col("mean_churn_score") >= churn.chance_at(_RISKS["high"]))
            & (pl.col("customer_share") >= _WORTH_A_SENTENCE)
        )
        .sort("revenue_amount", "segment_id", descending=[True, False])
        .head(1)
    )


def _warning(row: dict[str, Any], currency: str) -> str:
    return (
        f"Act first on “{row['segment_name']}”: {_many(row['customer_count'], 'customer')} who "
        f"spent {money(row['revenue_amount'], currency)} in the last 365 days, each with a chance "
        f"of {share(row['mean_churn_score'])} on average of buying nothing in the next 28 days."
    )


def _many(number: float | None, noun: str) -> str:
    figure = count(number)
    return f"{figure} {noun}" + ("" if figure == "1" else "s")


def _last(days: float) -> str:
    return f"last {_many(days, 'day')} ago" if days >= 0.5 else "last today"


def _groups(
    segments: pl.DataFrame,
    data: ReportData,
    churn: ChurnQuality | None,
    specs: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    groups = []
    largest = max(segments["customer_share"].max() or 0, segments["revenue_share"].max() or 0, 1e-9)
    for kinds, title, words in _KINDS:
        of_kind = segments.filter(pl.col("kind").is_in(kinds))
        if kinds == ("model",):  # named by the model, in no order that anybody chose
            of_kind = of_kind.sort("revenue_amount", "segment_id", descending=[True, False])
        present = of_kind.filter(pl.col("customer_count") > 0)
        if of_kind.is_empty():
            continue
        rows = [
            row
            | {
                "revenue": money(row["revenue_amount"], data.currency),
                "risk": _risk(row["mean_churn_score"], churn),
                "customer_bar": round(100 * (row["customer_share"] or 0) / largest, 1),
                "revenue_bar": round(100 * max(row["revenue_share"] or 0, 0) / largest, 1),
                "anchor": f"segment-{row['display_order']}",
            }
            for row in present.iter_rows(named=True)
        ]
        chart = f"sizes-{kinds[0]}"
        # Said once where no group has words of its own.
        is_shared = present.height > 1 and present["description"].n_unique() == 1
        groups.append(
            {
                "title": title,
                "words": f"{present['description'][0]} {words}" if is_shared else words,
                "is_shared": is_shared,
                "rows": rows,
                "empty": of_kind.filter(pl.col("customer_count") == 0)["segment_name"].to_list(),
                "chart": chart if present.height else None,
            }
        )
        if present.height:
            drawn = present.sort("revenue_share", "segment_id", descending=[True, False])
            labels = [
                f"{share(row['customer_share'])} → {share(row['revenue_share'])}"
                for row in drawn.iter_rows(named=True)
            ]
            columns = ["segment_name", "customer_share", "revenue_share"]
            specs[chart] = charts.size_and_revenue(
                drawn.select(columns)
                .with_columns(pl.col("customer_share", "revenue_share").fill_null(0).round(5))
                .with_columns(label=pl.Series(labels))
            )
    return groups


def _risk(score: float | None, churn: ChurnQuality | None) -> dict[str, str]:
    """Word a mean churn score against the average customer's chance."""
    if score is None or churn is None or not churn.base_rate:
        return {"figure": share(score), "word": "", "level": "none"}
    steps = (("high", "high", "high"), ("raised", "raised", "raised"), ("low", "", "average"))
    reached = ((w, k) for name, w, k in steps if score >= churn.chance_at(_RISKS[name]))
    word, level = next(reached, ("low", "low"))
    return {"figure": share(score), "word": word, "level": level}


def _rfm_grid(data: ReportData) -> list[dict[str, Any]]:
    """Count customers on recency by frequency and money, most recent row first."""
    rfm = data.customer_rfm
    if rfm.is_empty():
        return []
    names = dict(data.dim_segments.select("rule", "segment_name").rows())
    cells = (
        # The mean of both scores with a half rounded up, as the named segments have it.
        rfm.with_columns(fm=(pl.col("frequency_score") + pl.col("monetary_score") + 1) // 2)
        .group_by("recency_score", "fm", "rfm_segment")
        .agg(pl.len().alias("customers"))
        .sort("customers", "rfm_segment", descending=[True, False])
        .group_by("recency_score", "fm", maintain_order=True)
        .agg(pl.col("customers").sum(), pl.col("rfm_segment").first())
    )
    known = {(row["recency_score"], row["fm"]): row for row in cells.iter_rows(named=True)}
    most = cells["customers"].max()
    return [
        {
            "recency": recency,
            "cells": [
                {
                    "name": _rfm_name(cell["rfm_segment"], names) if cell else "",
                    "customers": cell["customers"] if cell else 0,
                    "tint": round(4 + 44 * cell["customers"] / most) if cell else 0,
                }
                for cell in (known.get((recency, fm)) for fm in range(1, 6))
            ],
        }
        for recency in range(5, 0, -1)
    ]


def _rfm_name(value: str | None, names: dict[str, str]) -> str:
    """Call a value as its segment is called, or by itself when it is no segment."""
    return names.get(f"rfm_segment = '{value}'", value or "")


def _cohorts(cohorts: pl.DataFrame, specs: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    later = cohorts.filter(
        pl.col("months_since").is_between(1, COHORTS_SHOWN) & (pl.col("cohort_customer_count") > 0)
    )
    if later.is_empty():
        return None
    months = later["cohort_month"].unique().sort()
    later = later.filter(pl.col("cohort_month").is_in(months.tail(COHORTS_SHOWN).implode()))
    later = later.sort("cohort_month", "months_since")
    labels = [
        f"{row['cohort_month']:%b %Y} · {count(row['cohort_customer_count'])}"
        for row in later.iter_rows(named=True)
    ]
    specs["cohorts"] = charts.cohort_heat_map(
        later.select(
            "months_since",
            pl.col("retention_share").round(4),
            "active_customer_count",
            "cohort_customer_count",
            cohort=pl.Series(labels),
        )
    )
    first = later.filter(pl.col("months_since") == 1)
    total = first["cohort_customer_count"].sum()
    months_since = range(1, later["months_since"].max() + 1)
    return {
        "left_out": max(months.len() - COHORTS_SHOWN, 0),
        "months": months_since,
        "rows": [
            {
                "month": f"{month:%b %Y}",
                "customers": rows["cohort_customer_count"][0],
                "shares": [shares.get(since) for since in months_since],
            }
            for (month,), rows in later.group_by("cohort_month", maintain_order=True)
            for shares in [dict(rows.select("months_since", "retention_share").iter_rows())]
        ],
        "first_month": first["active_customer_count"].sum() / total if total else None,
    }


def _clusters(data: ReportData, specs: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    assigned = data.cluster_assignments
    if assigned.is_empty():
        return None
    centres = middles(assigned)
    points = shown(assigned, centres, MAP_POINTS)
    specs["clusters"] = charts.cluster_map(points, centres)
    specs["clusters-depth"] = charts.cluster_map(points, centres, up="map_z", height=260)
    bought = data.customer_rfm.select("customer_id", "recency_days", "frequency", "monetary_amount")
    figures = centres.join(
        assigned.join(bought, on="customer_id", how="left")
        .group_by("cluster_name")
        .agg(
            pl.col("recency_days", "frequency").median(),
            pl.col("monetary_amount").cast(pl.Float64).median(),
        ),
        on="cluster_name",
        maintain_order="left",
    )
    return {
        "shown": points.height,
        "total": assigned.height,
        "rows": [
            {
                "number": row["position"] + 1,
                "colour": charts.cluster_colour(row["position"]),
                "name": row["cluster_name"],
                "customers": row["customers"],
                "share": row["customers"] / data.customer_count,
                "last": _last(row["recency_days"]),
                "frequency": _many(row["frequency"], "order"),
                "money": money(row["monetary_amount"], data.currency),
            }
            for row in figures.iter_rows(named=True)
        ],
    }


def _cluster_choice(model_runs: pl.DataFrame) -> dict[str, Any] | None:
    """Word why these clusters and no others; the candidates come from the run that serves."""
    runs = model_runs.filter(
        (pl.col("model_name") == "cluster_assignments") & pl.col("is_champion")
    )
    metrics = json.loads(runs["metrics"][-1]) if runs.height else {}
    if not metrics.get("candidates"):
        return None
    rows = [
        {
            "name": f"{row['method']}, {row['view']}",
            "groups": count(row["k"]),
            "stability": _decimals(row["stability"]),
            "sizes": f"{share(row['smallest_share'])} to {share(row['largest_share'])}",
            "repurchase": _decimals(row["repurchase_roc_auc"]),
            "spend": share(row["spend_explained_share"]),
            "silhouette": _decimals(row["silhouette"]),
            "reason": row["reason"],
            "is_chosen": row["is_chosen"],
        }
        for row in sorted(
            metrics["candidates"],
            key=lambda row: (not row["is_chosen"], -(row["repurchase_roc_auc"] or 0)),
        )
    ]
    pairs, stable = metrics.get("repurchase_roc_auc"), metrics.get("stability")
    return {
        "rows": rows,
        "count": count(len(rows)),
        "fitted": _day(runs["as_of_date"][-1]),
        "because": metrics["fitted_because"].rstrip("."),
        "pairs": None if pairs is None else f"{100 * pairs:.0f}",
        "spend": share(metrics.get("spend_explained_share")),
        "stable": None if stable is None else f"{stable:.2f}",
        "method": metrics["method"],
    }


def _decimals(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _churn(churn: ChurnQuality | None, specs: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    if churn is None:
        return None
    specs["lift"] = charts.lift(churn.deciles, churn.base_rate, charts.CHURN)
    specs["reliability"] = charts.reliability(churn.bands, charts.CHURN)
    measures = (
        ("roc_auc", "ROC-AUC", "Ranks a customer who stops above one who stays; 0.5 is a guess."),
        ("pr_auc", "PR-AUC", "How pure the top of the list is; the average rate is a guess."),
        ("brier", "Brier score", "Error of the stated chance; lower is better."),
    )
    pairs = churn.model.get("roc_auc")
    return {
        "holdout": _day(date.fromisoformat(churn.holdout_date)),
        "first_tenth": share(churn.first_tenth_share),
        "best_tenth": share(churn.best_tenth_share),
        "base_rate": share(churn.base_rate),
        "steps": {name: share(churn.chance_at(times)) for name, times in _RISKS.items()},
        "pairs": None if pairs is None else f"{100 * pairs:.0f}",
        "measures": [
            {
                "name": name,
                "words": words,
                "model": f"{churn.model[key]:.3f}",
                "baseline": f"{churn.baseline[key]:.3f}" if key in churn.baseline else "–",
            }
            for key, name, words in measures
            if key in churn.model
        ],
        "deciles": churn.deciles.to_dicts(),
        "bands": churn.bands.to_dicts(),
        "subjects": [
            {"name": _SUBJECTS.get(row["subject"], row["subject"]), "share": row["share"]}
            for row in churn.subjects.head(_SUBJECTS_SHOWN).iter_rows(named=True)
        ],
    }


def _score_spread(scores: pl.Series, specs: dict[str, dict[str, Any]]) -> dict[str, str] | None:
    """Draw how the scores of today are spread, and say it in a sentence."""
    if scores.is_empty():
        return None
    specs["score-spread"] = charts.score_distribution(charts.score_bands(scores))
    return {
        "half": share(scores.median()),
        "high": share((scores >= _LIKELY).mean()),
        "likely": share(_LIKELY),
    }


def _value(data: ReportData, specs: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Say what is expected of customers, and how the same method did when it could be checked."""
    values = data.lifetime_values
    if values.is_empty():
        return None
    shortest = values["horizon_days"].min()
    horizons = (
        values.group_by("horizon_days")
        .agg(
            total=pl.col("expected_value_amount").sum(),
            average=pl.col("expected_value_amount").mean(),
            orders=pl.col("expected_order_count").sum(),
            first=pl.col("expected_value_amount").filter(pl.col("value_decile") == 1).sum(),
        )
        .sort("horizon_days")
    )
    rows = [
        {
            "days": row["horizon_days"],
            "total": money(row["total"], data.currency),
            "average": money(row["average"], data.currency, 2),
            "orders": count(row["orders"]),
            "first_tenth": share(row["first"] / row["total"] if row["total"] else None),
        }
        for row in horizons.iter_rows(named=True)
    ]
    return {"days": shortest, "rows": rows, "judged": _value_judged(data, shortest, specs)}


def _value_judged(
    data: ReportData, horizon: int, specs: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    metrics = champion_metrics(data.model_runs, f"lifetime_value_{horizon}d")
    if metrics is None:
        return None
    tenths = pl.DataFrame(metrics["tenths"]).sort("decile")
    words = {
        name: [money(amount, data.currency, 2) for amount in tenths[f"mean_{name}_amount"]]
        for name in ("actual", "expected")
    }
    tenths = tenths.with_columns(pl.Series(name, text) for name, text in words.items())
    specs["value"] = charts.value_tenths(
        tenths.with_columns(pl.col("mean_actual_amount", "mean_expected_amount").round(2)),
        unit=data.currency,
    )
    measures = (
        ("top_decile_share", "Found by the first tenth", "Share of all that came.", share),
        ("spearman", "Rank correlation", "1 is the right order; 0 is a guess.", "{:.3f}".format),
        ("total_ratio", "Expected over what came", "1 is the right sum.", "{:.2f}".format),
        (
            "rmse",
            "Typical error a customer",
            "Large misses weigh most; lower is better.",
            lambda error: money(error, data.currency),
        ),
    )
    intervals = metrics["cut_offs"][0]["intervals"]["model"]
    return {
        "holdout": _day(date.fromisoformat(metrics["holdout_date"])),
        "first_tenth": share(metrics["model"]["top_decile_share"]),
        "tenths": tenths.to_dicts(),
        "measures": [
            {
                "name": name,
                "words": words,
                "interval": "{} to {}".format(*map(written, intervals[key][1:])),
                **{
                    who: written(metrics[who][key]) if metrics[who].get(key) is not None else "–"
                    for who in ("model", "floor", "last_period")
                },
            }
            for key, name, words, written in measures
        ],
    }


def _quality(data: ReportData) -> dict[str, Any]:
    ledger = data.load_ledger
    counts = ["rows_read", "rows_loaded", "rows_quarantined"]
    read, loaded, quarantined = (int(ledger[column].sum() or 0) for column in counts)
    entities = (
        ledger.group_by("source", "entity")
        .agg(
            pl.len().alias("files"),
            (pl.col("status") == "refused").sum().alias("refused"),
            pl.col(counts).sum(),
        )
        .sort("source", "entity")
    )
    # A gate asks all rules of a table at once; one that is asked no more must not count for ever.
    newest = pl.col("checked_at").max().over("gate", "table_schema", "table_name")
    checked = data.gate_results.filter(pl.col("checked_at") == newest)
    failed = checked.filter(~pl.col("is_success")).sort("gate", "table_name", "rule", "column_name")
    return {
        "read": read,
        "loaded": loaded,
        "quarantined": quarantined,
        "is_balanced": read == loaded + quarantined,
        "refused_files": int((ledger["status"] == "refused").sum()),
        "entities": entities.to_dicts(),
        "passed": checked.height - failed.height,
        "failed": failed.height,
        "failures": [
            {
                "table": f"{row['table_schema']}.{row['table_name']}",
                "rule": row["rule"],
                "column": row["column_name"],
                "unexpected": row["unexpected_count"],
            }
            for row in failed.iter_rows(named=True)
        ],
    }


def _json(spec: dict[str, Any]) -> str:
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)
    # A name such as "</script>" must stay data: the template puts this text in as it is.
    return text.replace("<", "\\u003c")
