with lines as (
    select * from {{ ref('int_orders__lines_conformed') }}
)

select
    source,
    source_order_id,
    max(customer_key) as customer_key,
    max(customer_key_type) as customer_key_type,
    min(ordered_at) as ordered_at,
    max(source_zone) as source_zone,
    max(source_store_id) as source_store_id,
    max(channel) as channel,
    count(*) as line_count,
    cast(sum(quantity) as bigint) as item_count,
    cast(sum(gross_amount) as decimal(18, 4)) as gross_amount,
    cast(sum(discount_amount) as decimal(18, 4)) as discount_amount,
    cast(sum(net_amount) as decimal(18, 4)) as net_amount,
    max(currency) as currency,
    -- A basket with one thing brought back is still a purchase; its amount is smaller.
    bool_and(is_return) as is_return
from lines
group by source, source_order_id
