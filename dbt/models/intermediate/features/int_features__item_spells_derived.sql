{{ config(materialized='table') }}
with items as (
    select * from {{ ref('int_features__items_bought') }}
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
    from items
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
