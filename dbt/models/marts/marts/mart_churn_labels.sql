with outcomes as (
    select * from {{ ref('mart_value_labels') }}
)

select
    customer_id,
    as_of_date,
    label_until_date,
    order_count = 0 as is_churned
from outcomes
where horizon_days = 28
