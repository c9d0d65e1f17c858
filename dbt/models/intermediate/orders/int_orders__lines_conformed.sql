with lines as (
    select * from {{ ref('int_orders__lines_unioned') }}
),

as_of as (
    select business_zone from {{ ref('stg_run__as_of') }}
),

late_files as (
    select * from {{ ref('int_landing__late_files') }}
),

dated as (
    {{ dated_and_known('lines', 'ordered_at', 'order_date') }}
)

select
    dated.source,
    dated.source_order_id,
    dated.line_number,
    dated.source_product_id,
    dated.customer_key,
    dated.customer_key_type,
    dated.ordered_at,
    dated.order_date,
    dated.source_zone,
    dated.source_store_id,
    dated.channel,
    dated.quantity,
    dated.gross_amount,
    dated.discount_amount,
    dated.net_amount,
    dated.currency,
    -- The source may say so (an invoice number with a C); a negative quantity says so anywhere.
    coalesce(dated.is_return, false) or coalesce(dated.quantity < 0, false) as is_return,
    -- A line is nobody's before the record that names the customer is there as well.
    greatest(
        dated.known_from,
        {{ known_from('dated.order_date', 'late_headers') }}
    ) as known_from
from dated
left join late_files as late_headers
    on
        dated.source = late_headers.source
        and dated.header_file_id = late_headers.file_id
