{{ config(meta={'dagster': {'ref': {'name': 'fct_orders'}}}) }}
with keys as (
    select
        customer_key,
        customer_id
    from {{ ref('fct_orders') }}
    union all
    select
        customer_key,
        customer_id
    from {{ ref('fct_campaign_contacts') }}
    union all
    select
        customer_key,
        customer_id
    from {{ ref('fct_redemptions') }}
)

select customer_key
from keys
where (customer_key is null) <> (customer_id is null)
