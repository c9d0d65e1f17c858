with orders as (
    select * from {{ ref('fct_orders') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

known_orders as (
    select
        orders.*,
        {{ is_purchase('orders') }} as is_purchase
    from orders
    cross join as_of
    where
        orders.customer_id is not null
        and orders.order_date <= as_of.as_of_date
)

select
    customer_id,
    order_date,
    count(*) filter (where is_purchase) as purchase_count,
    count(*) filter (where is_return) as return_count,
    cast(sum(item_count) as bigint) as item_count,
    cast(sum(gross_amount) as decimal(18, 4)) as gross_amount,
    cast(sum(discount_amount) as decimal(18, 4)) as discount_amount,
    cast(sum(net_amount) as decimal(18, 4)) as net_amount
from known_orders
group by customer_id, order_date
