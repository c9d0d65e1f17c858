with orders as (
    select * from {{ ref('int_orders__orders_aggregated') }}
),

as_of as (
    select business_zone from {{ ref('stg_run__as_of') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
)

select
    orders.source || ':' || orders.source_order_id as order_id,
    orders.source,
    orders.source_order_id,
    orders.customer_key,
    people.person_id as customer_id,
    orders.ordered_at,
    orders.source_zone,
    {{ business_date('orders.ordered_at', 'as_of.business_zone') }} as order_date,
    orders.source || ':' || orders.source_store_id as store_id,
    orders.channel,
    orders.line_count,
    orders.item_count,
    orders.gross_amount,
    orders.discount_amount,
    orders.net_amount,
    orders.currency,
    orders.is_return
from orders
cross join as_of
left join people on orders.customer_key = people.pseudonym
