{{ config(materialized='table') }}
with lines as (
    select * from {{ ref('fct_order_lines') }}
    where customer_key is not null and not is_return and net_amount > 0
),

orders as (
    select * from {{ ref('int_orders__orders_aggregated') }}
    where customer_key is not null and not is_return and net_amount > 0
),

products as (
    select * from {{ ref('dim_products') }}
    where department is not null
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
)

select
    people.customer_number,
    'department' as kind,
    products.department as item,
    lines.order_date,
    -- Null where the version knew nothing of it: only labels look at it then.
    sum(lines.net_amount) filter (lines.known_from < people.version_to) as net_amount
from lines
inner join people
    on
        lines.customer_key = people.customer_key
        and lines.order_date < people.version_to
inner join products on lines.product_id = products.product_id
group by people.customer_number, products.department, lines.order_date
union all
select
    people.customer_number,
    'store' as kind,
    orders.store_id as item,
    orders.order_date,
    sum(orders.net_amount) as net_amount
from orders
inner join people
    on
        orders.customer_key = people.customer_key
        and {{ is_known_on('orders', '(people.version_to - 1)') }}
where orders.store_id is not null
group by people.customer_number, orders.store_id, orders.order_date
