"""The section on what to offer next: how well the lists foresee, beside simpler lists.

Belongs here: reading the recommender's metrics and wording them. Does not belong here: the page.
"""

from datetime import date
from typing import Any

import polars as pl

from report.model_runs import champion_metrics

_KINDS = {
    "repeat": ("Buy again", "products that the customer has bought before"),
    "cross_sell": ("Buy for the first time", "products that the customer has never bought"),
}
_METHODS = {
    "blend": "all that speaks for a product, weighed by a model",
    "own_frequency": "what the customer bought most often",
    "popularity": "what sells best to everybody",
    "decay": "what the customer bought often and lately",
    "item_item": "what is bought by those who buy the same things",
    "als": "what suits a customer of this taste",
    "content": "what sells best on the customer's own shelves",
}


def offers(model_runs: pl.DataFrame) -> dict[str, Any] | None:
    """Read the recommender's latest run; the one place that knows how its metrics are spelt."""
    metrics = champion_metrics(model_runs, "recommendations")
    if metrics is None:
        return None
    kinds = [
        _kind(*_KINDS[kind], judged)
        for kind, judged in ((kind, metrics["kinds"].get(kind)) for kind in _KINDS)
        if judged and judged["recall"].get(judged["serving"], [None])[0] is not None
    ]
    return {
        "days": [f"{day.day} {day:%B %Y}" for day in sorted(map(_date, metrics["holdout_dates"]))],
        "customers": metrics["judged_customer_count"],
        "kinds": kinds,
    }


def _kind(title: str, words: str, judged: dict[str, Any]) -> dict[str, Any]:
    serving = judged["serving"]
    rows = [
        {
            "words": _METHODS.get(name, name),
            "recall": figure[0],
            "interval": figure[1:],
            "serves": name == serving,
            "is_baseline": name in judged["baselines"],
        }
        for name, figure in judged["recall"].items()
        if figure[0] is not None
    ]
    rows.sort(key=lambda row: (not row["serves"], -row["recall"]))
    return {"title": title, "words": words, "best": rows[0]["recall"], "rows": rows}


def _date(text: str) -> date:
    return date.fromisoformat(text)
