"""The charts of the report, as Vega-Lite specifications.

Belongs here: how a frame is drawn. Does not belong here: which figures are shown and the words
around them (`page.py`).

Colours are CSS variables of the page: Vega's SVG renderer hands them through, so that the same
chart is right in light, in dark and on paper. That is why shades are made by opacity (a variable
cannot be interpolated). Width is the container's; what does not fit a phone hides by `width`.
"""

from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

INK, MUTED, LINE = "var(--ink)", "var(--muted)", "var(--line)"
ACCENT, CONTRAST, SURFACE = "var(--accent)", "var(--contrast)", "var(--surface)"
# After Okabe and Ito, told apart also with colour-blind eyes; darkened until a white number can be
# read on each. The number says the same as the colour, so that colour alone never has to.
# As many as the clustering may find groups.
CLUSTER_COLOURS = (
    *("#0072B2", "#C75300", "#00805E", "#A8488F"),
    *("#7A6A00", "#3F7F93", "#6B6B6B", "#6A3FA0"),
)
# Named, not inherited: Vega measures labels with it to make room for them.
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans KR", sans-serif'
_WIDE = "width > 460"
_ROW = 44


@dataclass(frozen=True)
class Event:
    """What a score foretells, in words: its rows, what happened to them, and how many those are."""

    rows: str
    happened: str
    counted: str


CHURN = Event("customers", "Stopped buying", "Customers who stopped")
REDEMPTION = Event("customers sent a campaign", "Redeemed a coupon", "Customers who redeemed")
PURCHASE = Event("customers and departments", "Bought there", "Customers who bought there")


def cluster_colour(position: int) -> str:
    """Give the colour of the cluster at a position, starting at 0."""
    return CLUSTER_COLOURS[position % len(CLUSTER_COLOURS)]


def size_and_revenue(segments: pl.DataFrame) -> dict[str, Any]:
    """Draw each segment's share of customers beside its share of revenue.

    One row per segment, in the order drawn: segment_name, customer_share, revenue_share, label
    (both shares in words).
    """
    order = segments["segment_name"].to_list()
    y = alt.Y("segment_name:N", sort=order, axis=None)
    highest = max(segments["customer_share"].max(), segments["revenue_share"].max())
    scale = alt.Scale(domain=[0, highest * 1.02 or 1], nice=False)
    x = alt.X(
        "customer_share:Q",
        scale=scale,
        axis=alt.Axis(format="%", tickCount=4, title=None, orient="bottom"),
    )
    base = alt.Chart(segments)
    tooltip = [
        alt.Tooltip("segment_name:N", title="Segment"),
        alt.Tooltip("customer_share:Q", title="Share of customers", format=".1%"),
        alt.Tooltip("revenue_share:Q", title="Share of revenue", format=".1%"),
    ]
    gap = base.mark_rule(strokeWidth=4, stroke=MUTED, opacity=0.45, yOffset=9).encode(
        x=x, x2="revenue_share:Q", y=y
    )
    size = base.mark_point(
        size=95, filled=True, fill=SURFACE, stroke=MUTED, strokeWidth=2.5, opacity=1, yOffset=9
    ).encode(x=x, y=y, tooltip=tooltip)
    money = base.mark_point(
        size=120, filled=True, fill=ACCENT, stroke=SURFACE, strokeWidth=1, opacity=1, yOffset=9
    ).encode(x=alt.X("revenue_share:Q", scale=scale), y=y, tooltip=tooltip)
    name = base.mark_text(
        align="left", dy=-9, fontSize=13, fontWeight=600, fill=INK, limit=alt.expr("width - 100")
    ).encode(x=alt.value(0), y=y, text="segment_name:N")
    label = base.mark_text(align="right", dy=-9, fontSize=12, fill=MUTED).encode(
        x=alt.value("width"), y=y, text="label:N"
    )
    return _spec(alt.layer(gap, size, money, name, label), height=_ROW * len(order))


def cohort_heat_map(cohorts: pl.DataFrame) -> dict[str, Any]:
    """Draw the share of each month's new customers who bought again in later months.

    One row per cohort and month: cohort (label), months_since, retention_share,
    active_customer_count, cohort_customer_count.
    """
    order = cohorts["cohort"].unique(maintain_order=True).to_list()
    lowest, highest = cohorts["retention_share"].min(), cohorts["retention_share"].max()
    base = alt.Chart(cohorts).encode(
        x=alt.X(
            "months_since:O",
            axis=alt.Axis(
                title="Months after the first order",
                orient="top",
                labelAngle=0,
                domain=False,
                ticks=False,
                labelPadding=5,
            ),
        ),
        y=alt.Y(
            "cohort:N",
            sort=order,
            axis=alt.Axis(title=None, domain=False, ticks=False, labelPadding=7),
        ),
    )
    cells = base.mark_rect(fill=ACCENT, cornerRadius=2, stroke=SURFACE, strokeWidth=2).encode(
        # Faint enough that the ink of the figures can be read on every shade, in light and dark.
        opacity=alt.Opacity(
            "retention_share:Q",
            scale=alt.Scale(domain=[min(lowest, 0.9 * highest), highest or 1], range=[0.08, 0.58]),
            legend=None,
        ),
        tooltip=[
            alt.Tooltip("cohort:N", title="First order in"),
            alt.Tooltip("months_since:O", title="Months later"),
            alt.Tooltip("retention_share:Q", title="Bought again", format=".0%"),
            alt.Tooltip("active_customer_count:Q", title="Customers", format=","),
            alt.Tooltip("cohort_customer_count:Q", title="of", format=","),
        ],
    )
    figures = base.mark_text(fontSize=11, fill=INK).encode(
        text=alt.Text("retention_share:Q", format=".0%"),
        opacity=alt.when(_WIDE).then(alt.value(1)).otherwise(alt.value(0)),
    )
    return _spec(alt.layer(cells, figures), height=max(26 * len(order), 90))


def cluster_map(
    points: pl.DataFrame, centres: pl.DataFrame, *, up: str = "map_y", height: int = 400
) -> dict[str, Any]:
    """Draw customers in the space of the model, and each cluster's number in its middle.

    The space is seen along one of its axes: `up` is the other one beside map_x, map_y or map_z.
    points: one row per customer shown: map_x, `up`, position. centres: one row per cluster:
    map_x, `up`, position (0-based), cluster_name.
    """
    count = centres.height
    centres = centres.select(pl.col("map_x", up).round(3), "position", "cluster_name")
    colour = alt.Color(
        "position:O",
        scale=alt.Scale(domain=list(range(count)), range=[cluster_colour(n) for n in range(count)]),
        legend=None,
    )
    x = alt.X("map_x:Q", axis=None, scale=alt.Scale(zero=False, nice=False, padding=10))
    y = alt.Y(f"{up}:Q", axis=None, scale=alt.Scale(zero=False, nice=False, padding=10))
    dots = (
        alt.Chart(points.select("map_x", up, "position"))
        # Three thousand labels would be read out one by one by a screen reader.
        .mark_circle(size=16, opacity=0.65, aria=False)
        .encode(x=x, y=y, color=colour)
    )
    middle = alt.Chart(centres).transform_calculate(number="datum.position + 1")
    badge = middle.mark_circle(size=620, opacity=1, stroke=SURFACE, strokeWidth=2.5).encode(
        x=x, y=y, color=colour, tooltip=alt.Tooltip("cluster_name:N", title="Cluster")
    )
    number = middle.mark_text(fontSize=14, fontWeight=700, fill="#fff", dy=0.5).encode(
        x=x, y=y, text="number:Q", tooltip=alt.Tooltip("cluster_name:N", title="Cluster")
    )
    return _spec(alt.layer(dots, badge, number), height=height)


def lift(deciles: pl.DataFrame, base_rate: float, event: Event) -> dict[str, Any]:
    """Draw how often the event came in each tenth by score, beside the average.

    One row per tenth, highest score first: decile, event_share, event_count, row_count.
    """
    x = alt.X(
        "decile:O",
        axis=alt.Axis(
            title=f"Tenths of {event.rows}, highest score first",
            labelAngle=0,
            domain=False,
            ticks=False,
        ),
    )
    deciles = deciles.with_columns(pl.col("event_share").round(4))
    base_rate = round(base_rate, 4)
    highest = max(deciles["event_share"].max(), base_rate)
    y = alt.Y(
        "event_share:Q",
        axis=alt.Axis(format="%", tickCount=4, title=None),
        scale=alt.Scale(domain=[0, min(1.12 * highest, 1.08)], nice=False),
    )
    tooltip = [
        alt.Tooltip("decile:O", title="Tenth"),
        alt.Tooltip("event_share:Q", title=event.happened, format=".1%"),
        alt.Tooltip("event_count:Q", title=event.counted, format=","),
        alt.Tooltip("row_count:Q", title="of", format=","),
    ]
    base = alt.Chart(deciles)
    bars = base.mark_bar(fill=ACCENT, cornerRadiusEnd=3).encode(
        x=x,
        y=y,
        opacity=alt.when(alt.datum.decile == 1).then(alt.value(1)).otherwise(alt.value(0.55)),
        tooltip=tooltip,
    )
    words = {"x": x, "y": y, "text": alt.Text("event_share:Q", format=".0%")}
    look = {"dy": -9, "fontSize": 11.5, "fontWeight": 600}
    # A rim in the colour of the paper keeps a figure readable where the average crosses it.
    rim = base.mark_text(**look, stroke=SURFACE, strokeWidth=5, aria=False).encode(**words)
    figures = base.mark_text(**look, fill=INK).encode(**words)
    average = alt.Chart(pl.DataFrame({"share": [base_rate], "label": [f"average {base_rate:.0%}"]}))
    line = average.mark_rule(stroke=CONTRAST, strokeWidth=2, strokeDash=[6, 4]).encode(y="share:Q")
    label = average.mark_text(align="right", dy=-9, fontSize=12, fontWeight=600, fill=CONTRAST)
    label = label.encode(x=alt.value("width"), y="share:Q", text="label:N")
    return _spec(alt.layer(bars, line, rim, figures, label), height=290)


def score_bands(scores: pl.Series, bands: int = 20) -> pl.DataFrame:
    """Count the scores in each band: score_from, score_to, customer_count, an empty band too."""
    band = (scores * bands).floor().clip(0, bands - 1).cast(pl.Int64)
    counts = pl.DataFrame({"band": band}).group_by("band").agg(customer_count=pl.len())
    return (
        pl.DataFrame({"band": range(bands)})
        .join(counts, on="band", how="left", maintain_order="left")
        .select(
            score_from=(pl.col("band") / bands).round(6),
            score_to=((pl.col("band") + 1) / bands).round(6),
            customer_count=pl.col("customer_count").fill_null(0).cast(pl.Int64),
        )
    )


def score_distribution(bands: pl.DataFrame) -> dict[str, Any]:
    """Draw how many customers have which score; one row per band as `score_bands` gives."""
    percent = alt.Axis(format="%", tickCount=5, title="Chance of no purchase", grid=False)
    bars = (
        alt.Chart(bands)
        .mark_bar(fill=ACCENT, opacity=0.55, binSpacing=1)
        .encode(
            x=alt.X("score_from:Q", bin="binned", scale=alt.Scale(domain=[0, 1]), axis=percent),
            x2="score_to:Q",
            y=alt.Y("customer_count:Q", axis=alt.Axis(tickCount=4, title="Customers")),
            tooltip=[
                alt.Tooltip("score_from:Q", title="From", format=".0%"),
                alt.Tooltip("score_to:Q", title="to", format=".0%"),
                alt.Tooltip("customer_count:Q", title="Customers", format=","),
            ],
        )
    )
    return _spec(alt.layer(bars), height=220)


def reliability(bands: pl.DataFrame, event: Event) -> dict[str, Any]:
    """Draw the chance that was stated beside what happened.

    One row per band of scores: mean_score, event_share, row_count.
    """
    share = alt.Scale(domain=[0, 1], nice=False)
    axis = {"format": "%", "tickCount": 4}
    x = alt.X("mean_score:Q", scale=share, axis=alt.Axis(title="Chance as stated", **axis))
    y = alt.Y("event_share:Q", scale=share, axis=alt.Axis(title=event.happened, **axis))
    tooltip = [
        alt.Tooltip("mean_score:Q", title="Stated", format=".1%"),
        alt.Tooltip("event_share:Q", title=event.happened, format=".1%"),
        alt.Tooltip("row_count:Q", title=event.rows.capitalize(), format=","),
    ]
    bands = bands.select("mean_score", "event_share", "row_count")
    ends = pl.DataFrame({"mean_score": [0.0, 1.0], "event_share": [0.0, 1.0]})
    perfect = alt.Chart(ends).mark_line(stroke=CONTRAST, strokeWidth=2, strokeDash=[6, 4])
    base = alt.Chart(bands).encode(x=x, y=y)
    line = base.mark_line(stroke=ACCENT, strokeWidth=2, opacity=0.55)
    points = base.mark_circle(fill=ACCENT, stroke=SURFACE, strokeWidth=1.5, opacity=1).encode(
        size=alt.Size("row_count:Q", scale=alt.Scale(range=[40, 420]), legend=None),
        tooltip=tooltip,
    )
    return _spec(alt.layer(perfect.encode(x=x, y=y), line, points), height=290)


def value_tenths(tenths: pl.DataFrame, unit: str) -> dict[str, Any]:
    """Draw what each tenth brought in, and what was expected of it, in `unit` a customer.

    One row per tenth, most expected first: decile, mean_actual_amount, mean_expected_amount, and
    both in words (actual, expected).
    """
    x = alt.X(
        "decile:O",
        axis=alt.Axis(
            title="Tenths of customers, highest expected value first",
            labelAngle=0,
            domain=False,
            ticks=False,
        ),
    )
    columns = ("mean_actual_amount", "mean_expected_amount")
    highest = max(tenths[name].max() for name in columns)
    scale = alt.Scale(domain=[min(0, tenths[columns[0]].min()), highest * 1.12 or 1], nice=False)
    axis = alt.Axis(tickCount=4, title=f"{unit} a customer")
    y = alt.Y("mean_actual_amount:Q", axis=axis, scale=scale)
    tooltip = [
        alt.Tooltip("decile:O", title="Tenth"),
        alt.Tooltip("actual:N", title="Brought in"),
        alt.Tooltip("expected:N", title="Expected"),
    ]
    base = alt.Chart(tenths)
    bars = base.mark_bar(fill=ACCENT, cornerRadiusEnd=3, opacity=0.55).encode(
        x=x, y=y, tooltip=tooltip
    )
    marks = base.mark_tick(stroke=CONTRAST, thickness=3, fill=CONTRAST, opacity=1).encode(
        x=x, y=alt.Y("mean_expected_amount:Q", scale=scale), tooltip=tooltip
    )
    return _spec(alt.layer(bars, marks), height=290)


def _spec(chart: alt.LayerChart, height: int) -> dict[str, Any]:
    spec = (
        chart.properties(
            width="container",
            height=height,
            background="transparent",
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure(font=FONT)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED,
            titleColor=MUTED,
            titleFontWeight=400,
            labelFontSize=11.5,
            titleFontSize=12,
            gridColor=LINE,
            domainColor=LINE,
            tickColor=LINE,
            titlePadding=8,
        )
        .to_dict()
    )
    # The schema's address is not needed to draw, and a page with no address asks for nothing.
    spec.pop("$schema", None)
    return spec
