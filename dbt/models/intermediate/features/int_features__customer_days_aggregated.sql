{{ config(materialized='table') }}
with orders as (
    select * from {{ ref('int_orders__orders_aggregated') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

dated_orders as (
    select
        people.customer_number,
        orders.*,
        {{ is_purchase('orders') }} as is_purchase,
        {{ is_known_on('orders', '(people.version_to - 1)') }} as is_known,
        orders.known_to is null as is_settled,
        date_part('hour', orders.ordered_at at time zone 'UTC' at time zone as_of.business_zone)
        >= 18 as is_evening
    from orders
    inner join people
        on
            orders.customer_key = people.customer_key
            and orders.order_date < people.version_to
    inner join as_of on orders.order_date <= as_of.as_of_date
),

days as (
    select
        customer_number,
        order_date,
        max(ordered_at) filter (is_known) as last_event_at,
        count(*) filter (is_known and is_purchase) as purchase_count,
        count(*) filter (is_known and is_purchase and is_evening) as evening_purchase_count,
        count(*) filter (is_known and is_purchase and channel <> 'store') as remote_purchase_count,
        count(*) filter (is_known and is_return) as return_count,
        cast(sum(item_count) filter (is_known) as bigint) as item_count,
        cast(sum(gross_amount) filter (is_known) as decimal(18, 4)) as gross_amount,
        cast(sum(discount_amount) filter (is_known) as decimal(18, 4)) as discount_amount,
        cast(sum(net_amount) filter (is_known) as decimal(18, 4)) as net_amount,
        -- What labels are made of: what is known today, whenever it came.
        count(*) filter (is_settled and is_purchase) as settled_purchase_count,
        cast(sum(net_amount) filter (is_settled) as decimal(18, 4)) as settled_net_amount
    from dated_orders
    group by customer_number, order_date
),

gaps as (
    select
        customer_number,
        order_date,
        order_date - lag(order_date) over (
            partition by customer_number
            order by order_date
        ) as gap_days
    from days
    where purchase_count > 0
)

select
    days.*,
    -- Running totals, so that a snapshot has only to look up its last day of purchase.
    sum(gaps.gap_days * gaps.gap_days) over so_far as squared_gap_days,
    count(gaps.order_date) over so_far as purchase_day_count,
    min(gaps.order_date) over so_far as first_purchase_date
from days
left join gaps
    on
        days.customer_number = gaps.customer_number
        and days.order_date = gaps.order_date
window so_far as (partition by days.customer_number order by days.order_date)
