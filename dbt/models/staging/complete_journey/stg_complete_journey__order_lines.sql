with transactions as (
    select * from {{ source('complete_journey', 'transactions') }}
)

select
    'complete_journey' as source,
    cast(basket_id as varchar) as source_order_id,
    row_number() over (
        partition by basket_id
        order by product_id, _file_id, _row_number
    ) as line_number,
    cast(product_id as varchar) as source_product_id,
    household_id_pseudonym as customer_key,
    'customer_id' as customer_key_type,
    transaction_timestamp as ordered_at,
    'UTC' as source_zone,
    cast(store_id as varchar) as source_store_id,
    'store' as channel,
    cast(quantity as bigint) as quantity,
    cast(sales_value + retail_disc + coupon_match_disc as decimal(18, 4)) as gross_amount,
    cast(retail_disc + coupon_match_disc as decimal(18, 4)) as discount_amount,
    sales_value as net_amount,
    'USD' as currency,
    false as is_return,
    _file_id as file_id
from transactions
