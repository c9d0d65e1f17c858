{{ config(meta={'dagster': {'ref': {'name': 'fct_orders'}}}) }}
with lines as (
    select
        order_id,
        count(*) as line_count,
        sum(quantity) as item_count,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(net_amount) as net_amount
    from {{ ref('fct_order_lines') }}
    group by order_id
)

select coalesce(orders.order_id, lines.order_id) as order_id
from {{ ref('fct_orders') }} as orders
full join lines on orders.order_id = lines.order_id
where
    orders.line_count is distinct from lines.line_count
    or orders.item_count is distinct from lines.item_count
    or orders.gross_amount is distinct from lines.gross_amount
    or orders.discount_amount is distinct from lines.discount_amount
    or orders.net_amount is distinct from lines.net_amount
