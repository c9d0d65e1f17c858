"""How well the clusters hold and what they tell of the next period, beside their bars.

What belongs here: the cut-offs, and which figure stands against which bar. What does not: the
method (`ml.clustering`).

`python -m benchmarks.figures_clusters --home FOLDER` wants a finished state folder of the Complete
Journey. At each cut-off the method stands on that day: it is fitted and chosen with what was known
by then, and what its clusters say is judged by the period after, which neither has seen. The
chance of a cluster comes from the period before. Agreement is measured on resamples that the choice
did not look at.
"""

import argparse
import datetime as dt
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

BARS = {"agreement (ARI)": 0.88, "repurchase ROC": 0.845, "clusters": 4}
CUT_OFFS, RESAMPLES, SEED = 3, 40, 4711
FEATURE_POLICY = Path(__file__).parents[1] / "features.yml"


@dataclass(frozen=True)
class Figure:
    """One measure of one predictor at one cut-off; `gains` are those of the clusters."""

    cut_off: dt.date
    predictor: str
    measure: str
    value: float
    low: float
    high: float
    bar: float | None = None
    gains: str = ""
    is_better: bool = True

    @property
    def verdict(self) -> str:
        """Whether the interval reaches the bar, and the gain over recency alone excludes zero."""
        if self.bar is None:
            return ""
        return "passes" if self.high >= self.bar and self.is_better else "FAILS"


def read(home: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return all snapshots, and those whose next period is over with what happened in it."""
    import duckdb

    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        features = connection.sql(
            "from marts.mart_customer_features order by customer_id, as_of_date"
        ).pl()
        outcomes = connection.sql(
            """
            select customer_id, as_of_date, label_until_date, order_count > 0 as is_repurchased,
                spend_amount as next_spend_amount
            from marts.mart_value_labels
            where horizon_days = (select min(horizon_days) from marts.mart_value_labels)
            """
        ).pl()
    # In one order: what is drawn depends on it.
    history = features.join(outcomes, on=["customer_id", "as_of_date"], maintain_order="left")
    return features, history


def figures(home: Path) -> Iterator[Figure]:
    """Judge the method at the latest cut-offs."""
    features, history = read(home)
    days = history["as_of_date"].unique().sort(descending=True)[:CUT_OFFS]
    for number, day in enumerate(days):
        yield from _at(day, features, history, BARS if number == 0 else {})


def _at(
    day: dt.date, features: pl.DataFrame, history: pl.DataFrame, bars: dict[str, float]
) -> Iterator[Figure]:
    import yaml

    from ml.cluster_candidates import KMEANS, VIEWS, ClusterSettings, stability
    from ml.cluster_choice import choose
    from ml.clustering import cluster_customers
    from ml.feature_policy import read_policies
    from ml.judgement import CutOff, judge_cut_offs

    policies = read_policies(yaml.safe_load(FEATURE_POLICY.read_text(encoding="utf-8")))
    today = features.filter(pl.col("as_of_date") == day)
    known = history.filter(pl.col("label_until_date") <= day)
    before = known.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
    after = history.filter(pl.col("as_of_date") == day)
    outcome = after["is_repurchased"].cast(pl.Int64).to_numpy()

    settings = ClusterSettings()
    rfm_only = replace(settings, views={"rfm": VIEWS["rfm"]}, methods=(KMEANS,))
    scores: dict[str, np.ndarray] = {}
    labels: dict[str, np.ndarray] = {}
    for name, one in {"clusters": settings, "RFM clusters": rfm_only}.items():
        started = time.process_time()
        result = cluster_customers(today, known, policies=policies, settings=one)
        spent = time.process_time() - started
        chance = result.model.assign(before, policies).with_columns(before["is_repurchased"])
        chance = chance.group_by("cluster_id").agg(pl.col("is_repurchased").mean())
        mine = result.model.assign(after, policies).join(
            chance, on="cluster_id", how="left", maintain_order="left"
        )
        scores[name] = mine["is_repurchased"].fill_null(outcome.mean()).to_numpy()
        labels[name] = mine["cluster_id"].to_numpy()
        if name == "clusters":
            metrics, seconds = result.metrics, spent
    scores["recency alone"] = -after["recency_days"].cast(pl.Float64).to_numpy()
    judged = judge_cut_offs([CutOff(after["customer_id"], outcome, scores)], seed=SEED)[1]

    chosen = replace(
        settings,
        views={metrics["view"]: VIEWS[metrics["view"]]},
        methods=(metrics["method"],),
        seed=SEED,
        resamples=RESAMPLES,
        least_stability=0.0,
    )
    sizes = {"least_k": metrics["cluster_count"], "most_k": metrics["cluster_count"]}
    again, _ = choose(before, today, [], policies, replace(chosen, **sizes))
    agreed = stability(again, replace(chosen, seed=SEED + 1, **sizes))
    yield _plain(day, "clusters", metrics["cluster_count"], bars)
    yield _plain(day, "smallest share", metrics["smallest_share"], {})
    yield _plain(day, "largest share", metrics["largest_share"], {})
    error = 1.96 * agreed["stability_error"]
    mean = agreed["stability"]
    name = "agreement (ARI)"
    yield Figure(day, "clusters", name, mean, mean - error, mean + error, bars.get(name))
    for name in scores:
        one = judged.figures[name]["roc_auc"]
        gains = {other: gain["roc_auc"] for other, gain in judged.gains.items()}
        first = name == "clusters"
        yield Figure(
            day,
            name,
            "repurchase ROC",
            one.value,
            one.low,
            one.high,
            bars.get("repurchase ROC") if first else None,
            "; ".join(
                f"{o} {g.value:+.3f} ({g.low:+.3f} to {g.high:+.3f})" for o, g in gains.items()
            )
            if first
            else "",
            gains["recency alone"].is_above_zero,
        )
    spend = after["next_spend_amount"].to_numpy()
    for name, label in labels.items():
        yield Figure(day, name, "spend explained (η²)", *_explained(label, spend))
    yield _plain(
        day, f"CPU seconds of the fit ({metrics['method']}, {metrics['view']})", seconds, {}
    )


def _explained(label: np.ndarray, spend: np.ndarray) -> tuple[float, float, float]:
    random = np.random.default_rng(SEED)
    everyone = np.arange(len(spend))
    drawn = []
    for rows in [everyone, *(random.integers(len(spend), size=len(spend)) for _ in range(400))]:
        group, amount = label[rows], spend[rows]
        count = np.maximum(np.bincount(group), 1)
        means = np.bincount(group, weights=amount) / count
        drawn.append(means[group].var() / amount.var())
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    return float(drawn[0]), float(low), float(high)


def _plain(day: dt.date, measure: str, value: float, bars: dict[str, float]) -> Figure:
    return Figure(day, "clusters", measure, value, value, value, bars.get(measure))


def table(found: Sequence[Figure]) -> list[str]:
    """Return the figures as a table in Markdown."""
    lines = [
        "| cut-off | predictor | measure | figure (95 %) | bar | gain over | |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        interval = f" ({one.low:.3f} to {one.high:.3f})" if one.low != one.high else ""
        lines.append(
            f"| {one.cut_off} | {one.predictor} | {one.measure} | {one.value:.3f}{interval} "
            f"| {'' if one.bar is None else f'≥ {one.bar:g}'} | {one.gains} | {one.verdict} |"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> Any:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="a finished state folder")
    print("\n".join(table(list(figures(parser.parse_args(arguments).home)))))


if __name__ == "__main__":
    main()
