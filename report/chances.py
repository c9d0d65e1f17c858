"""The section on the chances beside churn: departments bought from, coupons redeemed.

Belongs here: reading the metrics of those models and wording them. Does not belong here: the page.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from report import charts
from report.model_runs import champion_metrics


@dataclass(frozen=True)
class Chance:
    """A model of a yes or no: its table, the figures to show, and the words for them."""

    model_name: str
    title: str
    said: str
    pair: str
    published: str
    rival: str
    rival_words: str
    event: charts.Event


CHANCES = (
    Chance(
        model_name="category_propensity",
        title="Which department comes next",
        said="The chance that a customer buys from a department in the next 28 days.",
        pair="a department that was bought from and one that was not",
        published="model",
        rival="recency_only",
        rival_words="days since the last purchase there alone",
        event=charts.PURCHASE,
    ),
    Chance(
        model_name="campaign_responses",
        title="Who redeems a coupon",
        said="The chance that a customer redeems a coupon of the next campaign it is sent.",
        pair="a customer who redeemed and one who did not",
        published="unplanned_campaign",
        rival="past_share_only",
        rival_words="its share of campaigns redeemed before alone",
        event=charts.REDEMPTION,
    ),
)


def chances(model_runs: pl.DataFrame, specs: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Word each of the models that serve, and add its charts to `specs`."""
    return [one for one in (_chance(chance, model_runs, specs) for chance in CHANCES) if one]


def _chance(
    chance: Chance, model_runs: pl.DataFrame, specs: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    metrics = champion_metrics(model_runs, chance.model_name)
    if metrics is None:
        return None
    pairs = {
        name: f"{100 * metrics['intervals'][name]['roc_auc'][0]:.0f}"
        for name in (chance.published, chance.rival)
    }
    words = {
        "chance": chance,
        "pairs": pairs[chance.published],
        "rival_pairs": pairs[chance.rival],
        "base_rate": metrics["base_rate"],
    }
    if "lift" not in metrics:
        return words | {"lift": None}  # judged before its tables were kept
    deciles, bands = pl.DataFrame(metrics["lift"]), pl.DataFrame(metrics["calibration"])
    names = {kind: f"{kind}-{chance.model_name}" for kind in ("lift", "reliability")}
    specs[names["lift"]] = charts.lift(deciles, metrics["base_rate"], chance.event)
    specs[names["reliability"]] = charts.reliability(bands, chance.event)
    return words | names | {"deciles": deciles.to_dicts(), "bands": bands.to_dicts()}
