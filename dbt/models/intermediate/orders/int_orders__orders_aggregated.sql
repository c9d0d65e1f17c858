with lines as (
    select * from {{ ref('int_orders__lines_conformed') }}
),

states as (
    {{ known_states('lines', ['source', 'source_order_id'], 'order_date') }}
)

select
    lines.source || ':' || lines.source_order_id as order_id,
    lines.source,
    lines.source_order_id,
    max(lines.customer_key) as customer_key,
    max(lines.customer_key_type) as customer_key_type,
    min(lines.ordered_at) as ordered_at,
    min(lines.order_date) as order_date,
    max(lines.source_zone) as source_zone,
    lines.source || ':' || max(lines.source_store_id) as store_id,
    max(lines.channel) as channel,
    count(*) as line_count,
    cast(sum(lines.quantity) as bigint) as item_count,
    cast(sum(lines.gross_amount) as decimal(18, 4)) as gross_amount,
    cast(sum(lines.discount_amount) as decimal(18, 4)) as discount_amount,
    cast(sum(lines.net_amount) as decimal(18, 4)) as net_amount,
    max(lines.currency) as currency,
    -- A basket with one thing brought back is still a purchase; its amount is smaller.
    bool_and(lines.is_return) as is_return,
    coalesce(states.known_from, min(lines.order_date)) as known_from,
    states.known_to
from lines
left join states
    on
        lines.source = states.source
        and lines.source_order_id = states.source_order_id
        and lines.known_from <= states.known_from
group by lines.source, lines.source_order_id, states.known_from, states.known_to
