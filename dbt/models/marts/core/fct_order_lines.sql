with lines as (
    select * from {{ ref('int_orders__lines_conformed') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
)

select
    lines.source || ':' || lines.source_order_id || ':' || lines.line_number as order_line_id,
    lines.source || ':' || lines.source_order_id as order_id,
    lines.source,
    lines.source_order_id,
    lines.line_number,
    lines.source || ':' || lines.source_product_id as product_id,
    lines.customer_key,
    people.person_id as customer_id,
    lines.ordered_at,
    lines.order_date,
    lines.quantity,
    lines.gross_amount,
    lines.discount_amount,
    lines.net_amount,
    lines.currency,
    lines.is_return,
    lines.known_from
from lines
left join people on lines.customer_key = people.pseudonym
