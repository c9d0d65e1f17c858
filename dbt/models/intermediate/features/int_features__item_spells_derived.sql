with orders as (
    select * from {{ ref('fct_orders') }}
),

lines as (
    select * from {{ ref('fct_order_lines') }}
),

products as (
    select * from {{ ref('dim_products') }}
),

product_days as (
    select distinct
        customer_id,
        product_id,
        order_date
    from lines
    where customer_id is not null and not is_return
),

item_days as (
    select
        customer_id,
        'product' as kind,
        product_id as item,
        order_date
    from product_days
    union all
    select distinct
        product_days.customer_id,
        'department' as kind,
        products.department as item,
        product_days.order_date
    from product_days
    inner join products on product_days.product_id = products.product_id
    union all
    select distinct
        customer_id,
        'store' as kind,
        store_id as item,
        order_date
    from orders
    where customer_id is not null and not is_return
),

-- A purchase stands for its item until the item is bought again or 90 days have passed: at any day
-- each item of the window counts once. Joining snapshots to lines costs twice the time and memory.
spells as (
    select
        customer_id,
        kind,
        order_date as from_date,
        least(
            order_date + 90,
            lead(order_date) over (partition by customer_id, kind, item order by order_date)
        ) as until_date
    from item_days
    where item is not null
)

select
    customer_id,
    kind,
    from_date,
    until_date,
    count(*) as item_count
from spells
group by customer_id, kind, from_date, until_date
