with spine as (
    select as_of_date from {{ ref('int_features__days_spined') }}
),

late_purchases as (
    select distinct
        customer_key,
        order_date,
        known_from
    from {{ ref('fct_order_lines') }}
    where known_from > order_date and customer_key is not null
)

select distinct
    late_purchases.customer_key,
    spine.as_of_date + 1 as complete_from
from late_purchases
asof inner join spine on late_purchases.known_from > spine.as_of_date
where spine.as_of_date >= late_purchases.order_date
