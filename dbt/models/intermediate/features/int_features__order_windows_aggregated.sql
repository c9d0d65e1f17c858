with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
),

customer_days as (
    select * from {{ ref('int_orders__customer_days_aggregated') }}
),

days_in_reach as (
    select
        snapshots.customer_id,
        snapshots.as_of_date,
        customer_days.order_date,
        customer_days.purchase_count,
        customer_days.return_count,
        customer_days.item_count,
        customer_days.gross_amount,
        customer_days.discount_amount,
        customer_days.net_amount,
        -- One bit a week, counted back from the snapshot: the set bits are the distinct weeks.
        case
            when customer_days.purchase_count > 0
                then 1::bigint << ((snapshots.as_of_date - customer_days.order_date) // 7)
        end as active_week,
        isodow(customer_days.order_date) >= 6 as is_weekend
    from snapshots
    inner join customer_days
        on
            snapshots.customer_id = customer_days.customer_id
            and {{ is_within_days('customer_days.order_date', 365, 'snapshots.as_of_date') }}
)

select
    customer_id,
    as_of_date,
    sum(purchase_count) filter ({{ is_within_days('order_date', 7) }}) as order_count_7d,
    sum(purchase_count) filter ({{ is_within_days('order_date', 28) }}) as order_count_28d,
    sum(purchase_count) filter ({{ is_within_days('order_date', 90) }}) as order_count_90d,
    sum(purchase_count) as order_count_365d,
    sum(purchase_count) filter ({{ is_within_days('order_date', 28, lag=28) }})
        as order_count_prior_28d,
    sum(purchase_count) filter ({{ is_within_days('order_date', 90, lag=90) }})
        as order_count_prior_90d,
    sum(net_amount) filter ({{ is_within_days('order_date', 7) }}) as spend_amount_7d,
    sum(net_amount) filter ({{ is_within_days('order_date', 28) }}) as spend_amount_28d,
    sum(net_amount) filter ({{ is_within_days('order_date', 90) }}) as spend_amount_90d,
    sum(net_amount) as spend_amount_365d,
    sum(net_amount) filter ({{ is_within_days('order_date', 28, lag=28) }})
        as spend_amount_prior_28d,
    sum(net_amount) filter ({{ is_within_days('order_date', 90, lag=90) }})
        as spend_amount_prior_90d,
    sum(item_count) filter ({{ is_within_days('order_date', 28) }}) as item_count_28d,
    sum(item_count) filter ({{ is_within_days('order_date', 90) }}) as item_count_90d,
    sum(gross_amount) filter ({{ is_within_days('order_date', 90) }}) as gross_amount_90d,
    sum(discount_amount) filter ({{ is_within_days('order_date', 90) }}) as discount_amount_90d,
    sum(return_count) as return_count_365d,
    bit_count(bit_or(active_week) filter ({{ is_within_days('order_date', 90) }}))
        as active_week_count_90d,
    bit_count(bit_or(active_week)) as active_week_count_365d,
    sum(purchase_count) filter (is_weekend and {{ is_within_days('order_date', 90) }})
        as weekend_order_count_90d
from days_in_reach
group by customer_id, as_of_date
