with lines as (
    select * from {{ ref('int_orders__lines_unioned') }}
)

select
    source,
    source_order_id,
    line_number,
    source_product_id,
    customer_key,
    customer_key_type,
    ordered_at,
    source_zone,
    source_store_id,
    channel,
    quantity,
    gross_amount,
    discount_amount,
    net_amount,
    currency,
    -- The source may say so (an invoice number with a C); a negative quantity says so anywhere.
    coalesce(is_return, false) or coalesce(quantity < 0, false) as is_return
from lines
