with followed as (
    select * from {{ ref('int_features__customers_followed') }}
),

customer_days as (
    select * from {{ ref('int_features__customer_days_aggregated') }}
)

select
    followed.customer_id,
    followed.as_of_date,
    followed.horizon_days,
    followed.label_until_date,
    cast(coalesce(sum(customer_days.settled_purchase_count), 0) as bigint) as order_count,
    cast(coalesce(sum(customer_days.settled_net_amount), 0) as double) as spend_amount
from followed
left join customer_days
    on
        followed.later_number = customer_days.customer_number
        and followed.as_of_date < customer_days.order_date
        and followed.label_until_date >= customer_days.order_date
group by
    followed.customer_id, followed.as_of_date, followed.horizon_days, followed.label_until_date
