{{ config(meta={'dagster': {'ref': {'name': 'mart_customer_features'}}}) }}
-- Purchases counted by the features are never more than the facts themselves have in their windows;
-- fewer where an identifier was not known yet. And no row counts an event after its day.
with purchase_days as (
    select
        orders.order_date,
        count(distinct orders.order_id) as purchase_count
    from {{ ref('int_orders__orders_aggregated') }} as orders
    where orders.customer_key is not null and {{ is_purchase('orders') }}
    group by orders.order_date
),

featured as (
    select
        features.as_of_date,
        sum(features.order_count_28d) as order_count_28d,
        sum(features.order_count_365d) as order_count_365d,
        max({{ business_date('features.max_event_at', 'as_of.business_zone') }}) as last_event_date
    from {{ ref('mart_customer_features') }} as features
    cross join {{ ref('stg_run__as_of') }} as as_of
    group by features.as_of_date
),

counted as (
    select
        featured.as_of_date,
        coalesce(
            sum(purchase_days.purchase_count) filter ({{ is_within_days('order_date', 28) }}), 0
        ) as order_count_28d,
        coalesce(
            sum(purchase_days.purchase_count) filter ({{ is_within_days('order_date', 365) }}), 0
        ) as order_count_365d
    from featured
    cross join purchase_days
    group by featured.as_of_date
)

select featured.*
from featured
inner join counted on featured.as_of_date = counted.as_of_date
where
    featured.order_count_28d > counted.order_count_28d
    or featured.order_count_365d > counted.order_count_365d
    or featured.last_event_date > featured.as_of_date
