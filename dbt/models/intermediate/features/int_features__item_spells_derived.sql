{{ config(materialized='table') }}
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

-- Numbers for texts, no two of them the same: half the time and memory of what follows.
products as (
    select
        product_id,
        4 * row_number() over (order by product_id) as product,
        if(category is null, null, 4 * dense_rank() over (order by department, category) + 1)
            as category,
        if(department is null, null, 4 * dense_rank() over (order by department) + 2)
            as department
    from {{ ref('dim_products') }}
),

stores as (
    select
        store_id,
        4 * row_number() over (order by store_id) + 3 as store
    from (select distinct store_id from orders) as known_stores
    where store_id is not null
),

product_days as (
    select
        people.customer_number,
        products.product,
        products.category,
        products.department,
        lines.order_date
    from lines
    inner join people
        on
            lines.customer_key = people.customer_key
            and lines.known_from < people.version_to
    inner join products on lines.product_id = products.product_id
    inner join reach on lines.order_date > reach.before_date
    where not lines.is_return
),

item_days as (
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
        stores.store as item,
        orders.order_date
    from orders
    inner join people
        on
            orders.customer_key = people.customer_key
            and {{ is_known_on('orders', '(people.version_to - 1)') }}
    inner join stores on orders.store_id = stores.store_id
    inner join reach on orders.order_date > reach.before_date
    where not orders.is_return
),

-- A purchase stands for its item until the item is bought again or 90 days have passed: at any day
-- each item of the window counts once. Joining snapshots to lines costs twice the time and memory.
spells as (
    select
        customer_number,
        ['product', 'category', 'department', 'store'][item % 4 + 1] as kind,
        order_date as from_date,
        least(
            order_date + 90,
            lead(order_date) over (partition by customer_number, item order by order_date)
        ) as until_date
    from item_days
    where item is not null
)

select
    customer_number,
    kind,
    from_date,
    until_date,
    count(*) as item_count
from spells
where from_date < until_date
group by customer_number, kind, from_date, until_date
