with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

item_days as (
    select * from {{ ref('int_features__item_days_aggregated') }}
),

spent as (
    select
        snapshots.customer_number,
        snapshots.as_of_date,
        item_days.kind,
        item_days.item,
        sum(item_days.net_amount) as spend_amount
    from snapshots
    inner join item_days
        on
            snapshots.customer_number = item_days.customer_number
            and {{ is_within_days('item_days.order_date', 90, 'snapshots.as_of_date') }}
            and item_days.net_amount is not null
    group by snapshots.customer_number, snapshots.as_of_date, item_days.kind, item_days.item
),

mixes as (
    select
        customer_number,
        as_of_date,
        kind,
        arg_min(item, (-spend_amount, item)) as top_item,
        max(spend_amount) / sum(spend_amount) as top_share,
        -- From exact sums: doubles would add up differently in another order.
        ln(sum(spend_amount))
        - cast(sum(cast(spend_amount * ln(spend_amount) as decimal(38, 8))) as double)
        / sum(spend_amount) as entropy
    from spent
    group by customer_number, as_of_date, kind
)

select
    customer_number,
    as_of_date,
    max(top_item) filter (kind = 'department') as top_department_90d,
    max(top_share) filter (kind = 'department') as top_department_share_90d,
    -- One department is no mixture: exactly zero, not what rounding leaves of it.
    max(if(top_share = 1, 0, entropy)) filter (kind = 'department') as department_entropy_90d,
    max(top_item) filter (kind = 'store') as home_store_90d,
    max(top_share) filter (kind = 'store') as home_store_share_90d
from mixes
group by customer_number, as_of_date
