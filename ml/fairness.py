"""Whether scores treat groups of people alike, as numbers.

Here belong selection rate, recall and calibration by group, for groups that are known and large
enough. What is fair is for people to judge, and depends on what the scores are used for: a group
that churns more is selected more by a model that is right.

A group below the least size is listed without figures: they would be noise, and would tell of
single people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ml.errors import BadFeature

LEAST_CUSTOMERS = 50
SELECTED_SHARE = 0.2
MEASURES = ("selection_rate", "recall", "mean_score", "observed_share", "calibration_gap")
SCHEMA = {
    "group_column": pl.String,
    "group_value": pl.String,
    "customer_count": pl.Int64,
    "outcome_count": pl.Int64,
    "is_judged": pl.Boolean,
    **dict.fromkeys(MEASURES, pl.Float64),
}


def fairness_by_group(
    judged: pl.DataFrame,
    group_columns: Sequence[str],
    *,
    score: str = "churn_score",
    outcome: str = "is_churned",
    selected_share: float = SELECTED_SHARE,
    least_customers: int = LEAST_CUSTOMERS,
) -> pl.DataFrame:
    """Return one row per group column and value.

    `judged` has a row per customer of a holdout: the score that a model gave without having seen
    the outcome, the outcome, and the groups. Selected are the `selected_share` with the highest
    scores, those that a campaign would take. A customer without a known group is in none.

    - selection_rate: the share of the group that is selected.
    - recall: of its members with the outcome, the share selected; empty when there are none.
    - calibration_gap: mean score minus the share with the outcome.

    Raises:
        BadFeature: a column is absent, or a score or outcome is empty or not finite.

    """
    from fairlearn.metrics import MetricFrame, selection_rate

    _check(judged, score, outcome, group_columns)
    if judged.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    scores = judged[score].cast(pl.Float64)
    truth = judged[outcome].cast(pl.Int8).to_numpy().astype(np.int64)
    selected = (scores >= scores.quantile(1 - selected_share, "higher")).to_numpy().astype(np.int64)

    def recall(true: np.ndarray, chosen: np.ndarray) -> float:
        return float(np.mean(np.asarray(chosen)[np.asarray(true) == 1])) if np.any(true) else np.nan

    rows = []
    for column in group_columns:
        known = judged[column].is_not_null().to_numpy()
        if not known.any():
            continue
        group = judged[column].cast(pl.String).filter(known).to_numpy().astype(str)
        figures = MetricFrame(
            metrics={
                "customer_count": lambda true, _chosen: len(true),
                "outcome_count": lambda true, _chosen: int(np.sum(true)),
                "selection_rate": selection_rate,
                "recall": recall,
                "observed_share": lambda true, _chosen: float(np.mean(true)),
            },
            y_true=truth[known],
            y_pred=selected[known],
            sensitive_features=group,
        ).by_group
        said = MetricFrame(
            metrics=lambda _true, values: float(np.mean(values)),
            y_true=truth[known],
            y_pred=scores.to_numpy()[known],
            sensitive_features=group,
        ).by_group
        rows += [
            _row(column, value, dict(figures.loc[value]), said.loc[value], least_customers)
            for value in sorted(set(group))
        ]
    return pl.DataFrame(rows, schema=SCHEMA)


def fairness_gaps(by_group: pl.DataFrame) -> pl.DataFrame:
    """Return, per group column, the largest difference between judged groups in each measure.

    For the calibration gap it is the largest distance from zero: a model that is wrong in the same
    way for all groups is still wrong for each.
    """
    judged = by_group.filter("is_judged")
    return (
        judged.group_by("group_column", maintain_order=True)
        .agg(
            group_count=pl.len().cast(pl.Int64),
            selection_rate_gap=pl.col("selection_rate").max() - pl.col("selection_rate").min(),
            recall_gap=pl.col("recall").max() - pl.col("recall").min(),
            largest_calibration_gap=pl.col("calibration_gap").abs().max(),
        )
        .sort("group_column")
    )


def _row(column: str, value: str, figures: dict, said: float, least: int) -> dict:
    count = int(figures["customer_count"])
    row = {"group_column": column, "group_value": value, "customer_count": count}
    if count < least:
        return row | {"outcome_count": None, "is_judged": False} | dict.fromkeys(MEASURES)
    recall, observed = float(figures["recall"]), float(figures["observed_share"])
    return row | {
        "outcome_count": int(figures["outcome_count"]),
        "is_judged": True,
        "selection_rate": round(float(figures["selection_rate"]), 6),
        "recall": None if np.isnan(recall) else round(recall, 6),
        "mean_score": round(float(said), 6),
        "observed_share": round(observed, 6),
        "calibration_gap": round(float(said) - observed, 6),
    }


def _check(judged: pl.DataFrame, score: str, outcome: str, groups: Sequence[str]) -> None:
    absent = [name for name in (score, outcome, *groups) if name not in judged.columns]
    if absent:
        raise BadFeature(f"the judged frame lacks the column(s) {', '.join(absent)}")
    wrong = judged.filter(
        pl.col(score).is_null()
        | ~pl.col(score).cast(pl.Float64).is_finite()
        | pl.col(outcome).is_null()
    ).height
    if wrong:
        raise BadFeature(f"{score} or {outcome} is empty or not finite in {wrong} row(s)")
