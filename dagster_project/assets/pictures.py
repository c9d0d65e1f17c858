"""What the UI shows of a model: the report's charts as pictures, tables as Markdown.

What belongs here: which chart goes with which figures of a fit.
What does not: how a chart is drawn or becomes a picture (``report/``).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from ml.churn import ChurnResult
from ml.lifetime_value import LifetimeValueResult

MAP_POINTS = 300


def churn_pictures(
    result: ChurnResult, scores: pl.DataFrame
) -> dict[str, dg.MarkdownMetadataValue]:
    """How the judged model did, and the scores of today."""
    from report import charts  # imports altair, which other steps do without
    from report.pictures import picture

    spread = charts.score_distribution(charts.score_bands(scores["churn_score"]))
    return {
        **_judged(result.lift, result.calibration, result.metrics["base_rate"], charts.CHURN),
        "score_distribution": dg.MetadataValue.md(picture(spread, "Scores of today's customers")),
    }


def purchase_pictures(metrics: Mapping[str, Any]) -> dict[str, dg.MarkdownMetadataValue]:
    """How the judged model of departments did."""
    from report import charts

    return _foretold(metrics, charts.PURCHASE)


def redemption_pictures(metrics: Mapping[str, Any]) -> dict[str, dg.MarkdownMetadataValue]:
    """How the judged model of campaigns did."""
    from report import charts

    return _foretold(metrics, charts.REDEMPTION)


def _foretold(metrics: Mapping[str, Any], event: Any) -> dict[str, dg.MarkdownMetadataValue]:
    lift, calibration = (pl.DataFrame(metrics[name]) for name in ("lift", "calibration"))
    return _judged(lift, calibration, metrics["base_rate"], event)


def _judged(
    lift: pl.DataFrame, calibration: pl.DataFrame, base_rate: float, event: Any
) -> dict[str, dg.MarkdownMetadataValue]:
    """Reliability diagram and lift curve, each above its figures."""
    from report import charts
    from report.pictures import picture

    drawn = picture(charts.lift(lift, base_rate, event), "Lift curve")
    reliability = picture(charts.reliability(calibration, event), "Reliability diagram")
    return {
        "reliability": dg.MetadataValue.md(f"{reliability}\n\n{table(calibration)}"),
        "lift": dg.MetadataValue.md(f"{drawn}\n\n{table(lift)}"),
    }


def value_picture(result: LifetimeValueResult, unit: str) -> dg.MarkdownMetadataValue:
    """What each tenth of the holdout brought in, and what was expected of it, in `unit`."""
    from report import charts
    from report.pictures import picture

    tenths = pl.DataFrame(result.metrics["tenths"])
    drawn = tenths.with_columns(
        pl.col(f"mean_{name}_amount").round(2).cast(pl.String).alias(name)
        for name in ("actual", "expected")
    )
    words = "Value of each tenth of customers, and what was expected"
    tenths_drawn = picture(charts.value_tenths(drawn, unit), words)
    return dg.MetadataValue.md(f"{tenths_drawn}\n\n{table(tenths)}")


def cluster_pictures(assigned: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """The map of clusters along two of its axes, and the number of each."""
    from report import charts
    from report.cluster_map import middles, shown
    from report.pictures import dotted_picture

    centres = middles(assigned)
    points = shown(assigned, centres, MAP_POINTS)
    maps = (
        dotted_picture(charts.cluster_map(points, centres, up=up), words)
        for up, words in (("map_y", "Map of clusters"), ("map_z", "The same map from above"))
    )
    names = centres.select(number=pl.col("position") + 1, cluster="cluster_name")
    return dg.MetadataValue.md("\n\n".join([*maps, table(names)]))


def table(frame: pl.DataFrame) -> str:
    """A frame as a table in Markdown."""
    rows = [
        "| "
        + " | ".join(
            "" if v is None else f"{v:.4g}" if isinstance(v, float) else str(v) for v in row
        )
        + " |"
        for row in frame.iter_rows()
    ]
    head = ["| " + " | ".join(frame.columns) + " |", "|" + "---|" * frame.width]
    return "\n".join([*head, *rows])
