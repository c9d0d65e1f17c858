with orders as (
    select * from {{ ref('int_orders__orders_aggregated') }}
    where known_to is null
),

people as (
    select * from {{ ref('person_identifiers') }}
)

select
    orders.order_id,
    orders.source,
    orders.source_order_id,
    orders.customer_key,
    people.person_id as customer_id,
    orders.ordered_at,
    orders.source_zone,
    orders.order_date,
    orders.store_id,
    orders.channel,
    orders.line_count,
    orders.item_count,
    orders.gross_amount,
    orders.discount_amount,
    orders.net_amount,
    orders.currency,
    orders.is_return,
    orders.known_from
from orders
left join people on orders.customer_key = people.pseudonym
