with lines as (
    select * from {{ ref('fct_order_lines') }}
    where
        customer_id is not null and product_id is not null
        and not is_return and net_amount > 0
),

customers as (
    select
        customer_id,
        row_number() over (order by customer_id) - 1 as customer_number
    from {{ ref('dim_customers') }}
),

products as (
    select
        product_id,
        row_number() over (order by product_id) - 1 as product_number
    from {{ ref('dim_products') }}
),

as_of as (
    select as_of_date as today from {{ ref('stg_run__as_of') }}
),

purchases as (
    select
        lines.customer_id,
        lines.product_id,
        lines.order_date
    from lines
    inner join as_of on lines.order_date <= as_of.today
    group by lines.customer_id, lines.product_id, lines.order_date
)

select
    purchases.customer_id,
    purchases.product_id,
    purchases.order_date,
    -- Short names: text keys would take five times the memory where all purchases are read at once.
    cast(customers.customer_number as integer) as customer_number,
    cast(products.product_number as integer) as product_number
from purchases
inner join customers on purchases.customer_id = customers.customer_id
inner join products on purchases.product_id = products.product_id
