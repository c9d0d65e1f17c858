{{ config(meta={'dagster': {'ref': {'name': 'mart_customer_features'}}}) }}
-- Purchases counted by the features, and those in their windows by the facts themselves.
with purchase_days as (
    select
        order_date,
        count(*) as purchase_count
    from {{ ref('fct_orders') }}
    where customer_id is not null and not is_return and net_amount > 0
    group by order_date
),

featured as (
    select
        as_of_date,
        sum(order_count_28d) as order_count_28d,
        sum(order_count_365d) as order_count_365d
    from {{ ref('mart_customer_features') }}
    group by as_of_date
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
    featured.order_count_28d <> counted.order_count_28d
    or featured.order_count_365d <> counted.order_count_365d
