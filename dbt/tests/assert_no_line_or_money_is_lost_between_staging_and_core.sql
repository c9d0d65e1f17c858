{{ config(meta={'dagster': {'ref': {'name': 'fct_order_lines'}}}) }}
with delivered as (
    select
        source,
        count(*) as line_count,
        sum(net_amount) as net_amount,
        sum(gross_amount) as gross_amount
    from {{ ref('int_orders__lines_unioned') }}
    group by source
),

kept as (
    select
        source,
        count(*) as line_count,
        sum(net_amount) as net_amount,
        sum(gross_amount) as gross_amount
    from {{ ref('fct_order_lines') }}
    group by source
)

select coalesce(delivered.source, kept.source) as source
from delivered
full join kept on delivered.source = kept.source
where
    (delivered.line_count, delivered.net_amount, delivered.gross_amount)
    is distinct from
    (kept.line_count, kept.net_amount, kept.gross_amount)
