"""Who belongs to which segment today.

Belongs here: the customer profile that rules speak about, and evaluating rules on it. Does not
belong here: how a rule is checked (`rules.py`) or what changed since yesterday (`history.py`).
"""

import polars as pl

from segments.rules import Segment

VALUE_COLUMNS = ("expected_order_count", "expected_value_amount", "value_decile")
MEMBERSHIP = pl.Schema({"segment_id": pl.String, "customer_id": pl.String})


def profile(
    rfm: pl.DataFrame,
    features_today: pl.DataFrame,
    customers: pl.DataFrame,
    clusters: pl.DataFrame,
    scores: pl.DataFrame,
    values: pl.DataFrame,
) -> pl.DataFrame:
    """One row per customer of core.dim_customers, with every column a rule may name.

    Inputs hold at most one row per customer: marts.mart_customer_rfm, the rows of
    marts.mart_customer_features of today, core.dim_customers, ml.cluster_assignments,
    ml.churn_scores and ml.lifetime_values over one horizon. The result has all columns of the first
    three (a column that two of them share is taken from the earlier one), `cluster_name`,
    `churn_score`, `expected_order_count`, `expected_value_amount` and `value_decile`. So a column
    added to a mart can be used in a rule with no change here. A customer whom a model has not seen
    has null.
    """
    joined = customers.select("customer_id")
    parts = {
        "marts.mart_customer_rfm": rfm,
        "marts.mart_customer_features": features_today,
        "core.dim_customers": customers,
        "ml.cluster_assignments": clusters.select("customer_id", "cluster_name"),
        "ml.churn_scores": scores.select("customer_id", "churn_score"),
        "ml.lifetime_values": values.select("customer_id", *VALUE_COLUMNS),
    }
    for table, part in parts.items():
        new = [column for column in part.columns if column not in joined.columns]
        if part["customer_id"].n_unique() != part.height:
            raise ValueError(
                f"{table} has more than one row for a customer; pass the rows of one as_of_date"
            )
        joined = joined.join(part.select("customer_id", *new), on="customer_id", how="left")
    # NaN compares as larger than everything, so "no answer" would make a member.
    return joined.with_columns(pl.selectors.float().fill_nan(None)).sort("customer_id")


def evaluate(segments: list[Segment], profile: pl.DataFrame) -> pl.DataFrame:
    """One row per segment and member, in display order: (segment_id, customer_id).

    A rule that gives null for a customer (a value is unknown) does not make a member.
    """
    if not segments:
        return pl.DataFrame(schema=MEMBERSHIP)
    answers = profile.select(
        "customer_id", *(pl.sql_expr(s.rule).alias(f"rule:{s.segment_id}") for s in segments)
    )
    return pl.concat(
        answers.filter(pl.col(f"rule:{s.segment_id}")).select(
            pl.lit(s.segment_id, dtype=pl.String).alias("segment_id"), "customer_id"
        )
        for s in segments
    )
