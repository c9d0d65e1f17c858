"""What every segment is worth: size, money, reach, response, risk, stability, overlap.

Belongs here: one row of figures per segment. Does not belong here: figures per customer (dbt), or
how they are shown (`report/`).
"""

from datetime import date, timedelta

import polars as pl

from segments.history import History, members_on
from segments.rules import Segment

STABILITY_DAYS = 28
SCORECARD = pl.Schema(
    {
        "segment_id": pl.String,
        "as_of_date": pl.Date,
        "customer_count": pl.Int64,
        "customer_share": pl.Float64,
        "revenue_amount": pl.Decimal(38, 4),
        "revenue_share": pl.Float64,
        "average_order_amount": pl.Decimal(38, 4),
        "order_count_per_customer": pl.Float64,
        "reachable_share": pl.Float64,
        "response_share": pl.Float64,
        "discount_share": pl.Float64,
        "mean_churn_score": pl.Float64,
        "stability_share": pl.Float64,
        "closest_segment_id": pl.String,
        "overlap_share": pl.Float64,
    }
)


def scorecard(
    segments: list[Segment],
    membership: pl.DataFrame,
    profile: pl.DataFrame,
    history: History,
    as_of_date: date,
) -> pl.DataFrame:
    """One row per segment, also for one without members: segments.segment_scorecard.

    - revenue_amount: exact sum of the members' spend in the 365 days up to as_of_date;
      revenue_share: of all customers' spend; average_order_amount: revenue by order.
    - order_count_per_customer: mean number of orders in the 365 days.
    - reachable_share: members who can be contacted by mail.
    - response_share: members who redeemed a coupon, of those who were sent a campaign, both in
      the last 90 days; null when none was sent one.
    - discount_share: mean over members of their discount as a share of list price, 90 days.
    - stability_share: members both today and 28 days ago, of those who are either; null when the
      history does not reach back or nobody was in the segment then.
    - closest_segment_id, overlap_share: the segment whose members are most alike (customers in
      both, of customers in either), by id when two are as close; null and 0 when there is none.
    """
    money = pl.Decimal(38, 4)
    contacted = pl.col("campaign_contact_count_90d") > 0
    figures = (
        membership.join(
            profile.select(
                "customer_id",
                pl.col("monetary_amount").cast(money).fill_null(0),
                pl.col("frequency").cast(pl.Int64).fill_null(0),
                pl.col("is_contactable_by_mail").fill_null(value=False),
                pl.when(contacted).then(pl.col("coupon_redemption_count_90d") > 0).alias("answer"),
                "discount_share_90d",
                "churn_score",
            ),
            on="customer_id",
        )
        .group_by("segment_id")
        .agg(
            pl.len().cast(pl.Int64).alias("customer_count"),
            pl.col("monetary_amount").sum().alias("revenue_amount"),
            pl.col("frequency").sum().alias("order_count"),
            pl.col("is_contactable_by_mail").mean().alias("reachable_share"),
            pl.col("answer").mean().alias("response_share"),
            pl.col("discount_share_90d").mean().alias("discount_share"),
            pl.col("churn_score").mean().alias("mean_churn_score"),
        )
    )
    revenue_total = profile["monetary_amount"].cast(money).sum() or 0
    orders = pl.when(pl.col("order_count") > 0).then(pl.col("order_count"))
    return (
        pl.DataFrame({"segment_id": [s.segment_id for s in segments]}, schema_overrides=SCORECARD)
        .join(figures, on="segment_id", how="left", maintain_order="left")
        .join(_stability(membership, history, as_of_date), on="segment_id", how="left")
        .join(_closest(membership), on="segment_id", how="left")
        .with_columns(
            pl.col("customer_count").fill_null(0),
            pl.col("revenue_amount").fill_null(0),
            pl.col("overlap_share").fill_null(0.0),
        )
        .with_columns(
            as_of_date=pl.lit(as_of_date),
            customer_share=_share(pl.col("customer_count"), profile.height),
            revenue_share=_share(pl.col("revenue_amount").cast(pl.Float64), float(revenue_total)),
            average_order_amount=pl.col("revenue_amount") / orders,
            order_count_per_customer=pl.when(pl.col("customer_count") > 0).then(
                pl.col("order_count") / pl.col("customer_count")
            ),
        )
        .select(SCORECARD.names())
        .cast(SCORECARD)
    )


def overlaps(membership: pl.DataFrame) -> pl.DataFrame:
    """One row per ordered pair of segments that share a customer: (segment_id, other, overlap).

    Customers in the same set of segments are counted once, as that set: a million customers are a
    few hundred sets, so that the pairs cost next to nothing.
    """
    codes = membership.select(pl.col("segment_id").unique().sort()).with_row_index("code")
    coded = membership.join(codes, on="segment_id").select("customer_id", "code")
    sets = (
        coded.group_by("customer_id")
        .agg(pl.col("code").sort().alias("codes"))
        .group_by("codes")
        .agg(pl.len().cast(pl.Int64).alias("customers"))
        .with_row_index("set")
        .explode("codes")
    )
    sizes = sets.group_by("codes").agg(pl.col("customers").sum().alias("size"))
    pairs = (
        sets.join(sets.select("set", pl.col("codes").alias("other_code")), on="set")
        .filter(pl.col("codes") != pl.col("other_code"))
        .group_by("codes", "other_code")
        .agg(pl.col("customers").sum().alias("both"))
        .join(sizes, on="codes")
        .join(sizes.rename({"codes": "other_code", "size": "other_size"}), on="other_code")
    )
    either = pl.col("size") + pl.col("other_size") - pl.col("both")
    return (
        pairs.with_columns(overlap=pl.col("both") / either)
        .join(codes.rename({"code": "codes"}), on="codes")
        .join(codes.rename({"code": "other_code", "segment_id": "other"}), on="other_code")
        .select("segment_id", "other", "overlap")
        .sort("segment_id", "other")
    )


def _closest(membership: pl.DataFrame) -> pl.DataFrame:
    return (
        overlaps(membership)
        .sort("segment_id", "overlap", "other", descending=[False, True, False])
        .group_by("segment_id", maintain_order=True)
        .first()
        .rename({"other": "closest_segment_id", "overlap": "overlap_share"})
    )


def _stability(membership: pl.DataFrame, history: History, as_of_date: date) -> pl.DataFrame:
    then_day = as_of_date - timedelta(days=STABILITY_DAYS)
    if not history.knows(then_day):
        return pl.DataFrame(schema={"segment_id": pl.String, "stability_share": pl.Float64})
    then = members_on(history, then_day)
    both = membership.join(then, on=["segment_id", "customer_id"], how="semi")
    counts = [
        frame.group_by("segment_id").agg(pl.len().cast(pl.Int64).alias(name))
        for frame, name in ((then, "then"), (membership, "now"), (both, "both"))
    ]
    joined = counts[0].join(counts[1], on="segment_id", how="left")
    joined = joined.join(counts[2], on="segment_id", how="left").fill_null(0)
    either = pl.col("then") + pl.col("now") - pl.col("both")
    return joined.select("segment_id", stability_share=pl.col("both") / either)


def _share(part: pl.Expr, whole: float) -> pl.Expr:
    return part / whole if whole else pl.lit(None, dtype=pl.Float64)
