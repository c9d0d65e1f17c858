with orders as (
    select * from {{ ref('int_orders__orders_aggregated') }}
),

lines as (
    select * from {{ ref('fct_order_lines') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

reach as (
    select min(as_of_date) - 90 as before_date
    from {{ ref('int_features__days_compared') }}
    where is_due
),

items as (
    select * from {{ ref('int_features__items_numbered') }}
),

product_days as (
    select
        people.customer_number,
        items.product,
        items.category,
        items.department,
        lines.order_date
    from lines
    inner join people
        on
            lines.customer_key = people.customer_key
            and lines.known_from < people.version_to
    inner join items on lines.product_id = items.product_id
    inner join reach on lines.order_date > reach.before_date
    where not lines.is_return
)

select
    customer_number,
    product as item,
    order_date
from product_days
union all
select
    customer_number,
    category as item,
    order_date
from product_days
union all
select distinct
    customer_number,
    department as item,
    order_date
from product_days
union all
select distinct
    people.customer_number,
    items.store as item,
    orders.order_date
from orders
inner join people
    on
        orders.customer_key = people.customer_key
        and {{ is_known_on('orders', '(people.version_to - 1)') }}
inner join items on orders.store_id = items.store_id
inner join reach on orders.order_date > reach.before_date
where not orders.is_return
