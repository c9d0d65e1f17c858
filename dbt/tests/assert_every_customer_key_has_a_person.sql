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
),

-- Blocked, or shared by too many: an order under test@test.com is of no customer.
nobodys as (
    select pseudonym from {{ ref('int_identity__identifiers_judged') }}
    where refused_reason is not null
)

select keys.customer_key
from keys
left join nobodys on keys.customer_key = nobodys.pseudonym
where
    (keys.customer_key is null or nobodys.pseudonym is not null) <> (keys.customer_id is null)
