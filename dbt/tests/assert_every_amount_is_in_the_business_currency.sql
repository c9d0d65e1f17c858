{{ config(meta={'dagster': {'ref': {'name': 'fct_orders'}}}) }}
-- Amounts are added up over sources: another currency has to be converted in its staging model.
select orders.order_id
from {{ ref('fct_orders') }} as orders
cross join {{ ref('stg_run__as_of') }} as as_of
where orders.currency <> as_of.currency
