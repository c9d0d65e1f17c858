with receipts as (
    select * from {{ source('demo', 'receipts') }}
),

receipt_lines as (
    select * from {{ source('demo', 'receipt_lines') }}
),

web_orders as (
    select * from {{ source('demo', 'web_orders') }}
),

web_order_lines as (
    select * from {{ source('demo', 'web_order_lines') }}
),

-- Who bought is whom the strongest identifier of the record names, ranked as in identity.yml.
at_the_till as (
    select
        receipt_lines.receipt_id as source_order_id,
        receipt_lines.line_number,
        receipt_lines.product_id,
        coalesce(receipts.loyalty_card_pseudonym, receipts.phone_pseudonym) as customer_key,
        case
            when receipts.loyalty_card_pseudonym is not null then 'loyalty_card'
            when receipts.phone_pseudonym is not null then 'phone'
        end as customer_key_type,
        receipt_lines.sold_at as ordered_at,
        cast(receipts.store_id as varchar) as source_store_id,
        'store' as channel,
        receipt_lines.quantity,
        receipt_lines.net_amount,
        receipt_lines.discount_amount,
        receipt_lines._file_id as file_id,
        receipts._file_id as header_file_id
    from receipt_lines
    left join receipts on receipt_lines.receipt_id = receipts.receipt_id
),

on_the_web as (
    select
        web_order_lines.order_id as source_order_id,
        web_order_lines.line_number,
        web_order_lines.product_id,
        coalesce(
            web_orders.login_pseudonym, web_orders.email_pseudonym, web_orders.phone_pseudonym
        ) as customer_key,
        case
            when web_orders.login_pseudonym is not null then 'login'
            when web_orders.email_pseudonym is not null then 'email'
            when web_orders.phone_pseudonym is not null then 'phone'
        end as customer_key_type,
        web_order_lines.ordered_at,
        null as source_store_id,
        'web' as channel,
        web_order_lines.quantity,
        web_order_lines.net_amount,
        web_order_lines.discount_amount,
        web_order_lines._file_id as file_id,
        web_orders._file_id as header_file_id
    from web_order_lines
    left join web_orders on web_order_lines.order_id = web_orders.order_id
),

lines as (
    select * from at_the_till
    union all by name
    select * from on_the_web
)

select
    'demo' as source,
    source_order_id,
    cast(line_number as bigint) as line_number,
    cast(product_id as varchar) as source_product_id,
    customer_key,
    customer_key_type,
    ordered_at,
    'Asia/Seoul' as source_zone,
    source_store_id,
    channel,
    cast(quantity as bigint) as quantity,
    cast(net_amount + discount_amount as decimal(18, 4)) as gross_amount,
    discount_amount,
    net_amount,
    'USD' as currency,
    false as is_return,
    file_id,
    header_file_id
from lines
