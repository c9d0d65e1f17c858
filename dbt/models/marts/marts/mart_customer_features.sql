with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
),

windows as (
    select * from {{ ref('int_features__order_windows_aggregated') }}
),

gaps as (
    select * from {{ ref('int_features__purchase_gaps_measured') }}
),

variety as (
    select * from {{ ref('int_features__variety_counted') }}
),

touches as (
    select * from {{ ref('int_features__campaign_touches_counted') }}
)

select
    customer_id,
    as_of_date,
    as_of_date - gaps.last_purchase_date as recency_days,
    as_of_date - snapshots.first_purchase_date as tenure_days,
    cast(coalesce(windows.order_count_7d, 0) as bigint) as order_count_7d,
    cast(coalesce(windows.order_count_28d, 0) as bigint) as order_count_28d,
    cast(coalesce(windows.order_count_90d, 0) as bigint) as order_count_90d,
    cast(coalesce(windows.order_count_365d, 0) as bigint) as order_count_365d,
    cast(coalesce(windows.order_count_prior_28d, 0) as bigint) as order_count_prior_28d,
    cast(coalesce(windows.order_count_prior_90d, 0) as bigint) as order_count_prior_90d,
    cast(coalesce(windows.spend_amount_7d, 0) as double) as spend_amount_7d,
    cast(coalesce(windows.spend_amount_28d, 0) as double) as spend_amount_28d,
    cast(coalesce(windows.spend_amount_90d, 0) as double) as spend_amount_90d,
    cast(coalesce(windows.spend_amount_365d, 0) as double) as spend_amount_365d,
    cast(coalesce(windows.spend_amount_prior_28d, 0) as double) as spend_amount_prior_28d,
    cast(coalesce(windows.spend_amount_prior_90d, 0) as double) as spend_amount_prior_90d,
    windows.spend_amount_365d / nullif(windows.order_count_365d, 0) as average_order_amount,
    cast(coalesce(windows.item_count_28d, 0) as bigint) as item_count_28d,
    cast(coalesce(windows.item_count_90d, 0) as bigint) as item_count_90d,
    windows.discount_amount_90d / nullif(windows.gross_amount_90d, 0) as discount_share_90d,
    cast(coalesce(windows.return_count_365d, 0) as bigint) as return_count_365d,
    cast(coalesce(windows.active_week_count_90d, 0) as bigint) as active_week_count_90d,
    cast(coalesce(windows.active_week_count_365d, 0) as bigint) as active_week_count_365d,
    cast(coalesce(variety.distinct_product_count_90d, 0) as bigint)
        as distinct_product_count_90d,
    cast(coalesce(variety.distinct_department_count_90d, 0) as bigint)
        as distinct_department_count_90d,
    gaps.mean_gap_days,
    gaps.gap_deviation_days,
    (as_of_date - gaps.last_purchase_date) / gaps.mean_gap_days as recency_over_mean_gap,
    cast(coalesce(variety.store_count_90d, 0) as bigint) as store_count_90d,
    coalesce(windows.weekend_order_count_90d, 0) / nullif(windows.order_count_90d, 0)
        as weekend_share_90d,
    cast(coalesce(touches.coupon_redemption_count_90d, 0) as bigint)
        as coupon_redemption_count_90d,
    cast(coalesce(touches.campaign_contact_count_90d, 0) as bigint) as campaign_contact_count_90d
from snapshots
left join gaps using (customer_id, as_of_date)
left join windows using (customer_id, as_of_date)
left join variety using (customer_id, as_of_date)
left join touches using (customer_id, as_of_date)
