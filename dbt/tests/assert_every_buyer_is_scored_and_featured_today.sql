{{ config(meta={'dagster': {'ref': {'name': 'mart_customer_features'}}}) }}
with buyers as (
    select customer_id
    from {{ ref('dim_customers') }}
    where order_count > 0
),

featured as (
    select features.customer_id
    from {{ ref('mart_customer_features') }} as features
    inner join {{ ref('stg_run__as_of') }} as as_of on features.as_of_date = as_of.as_of_date
)

select buyers.customer_id
from buyers
left join {{ ref('mart_customer_rfm') }} as rfm on buyers.customer_id = rfm.customer_id
left join featured on buyers.customer_id = featured.customer_id
where rfm.customer_id is null or featured.customer_id is null
