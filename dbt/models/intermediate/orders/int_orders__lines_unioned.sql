with unioned as (
    {{ union_by_name([
        ref('stg_complete_journey__order_lines'),
        ref('stg_demo__order_lines'),
    ]) }}
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
    is_return,
    file_id,
    header_file_id
from unioned
