with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
),

customer_days as (
    select * from {{ ref('int_orders__customer_days_aggregated') }}
),

purchase_days as (
    select
        customer_id,
        order_date,
        order_date - lag(order_date) over (
            partition by customer_id
            order by order_date
        ) as gap_days
    from customer_days
    where purchase_count > 0
),

sums as (
    select
        snapshots.customer_id,
        snapshots.as_of_date,
        max(purchase_days.order_date) as last_purchase_date,
        count(purchase_days.gap_days) as gap_count,
        sum(purchase_days.gap_days) as gap_days,
        sum(purchase_days.gap_days * purchase_days.gap_days) as squared_gap_days
    from snapshots
    inner join purchase_days
        on
            snapshots.customer_id = purchase_days.customer_id
            and snapshots.as_of_date >= purchase_days.order_date
    group by snapshots.customer_id, snapshots.as_of_date
)

-- From sums of whole days: stddev_samp() adds doubles in whatever order its threads end.
select
    customer_id,
    as_of_date,
    last_purchase_date,
    gap_days / nullif(gap_count, 0) as mean_gap_days,
    sqrt(
        (gap_count * squared_gap_days - gap_days * gap_days)
        / nullif(gap_count * (gap_count - 1), 0)
    ) as gap_deviation_days
from sums
