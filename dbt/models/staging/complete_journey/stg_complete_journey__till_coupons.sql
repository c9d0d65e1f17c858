with transactions as (
    select * from {{ source('complete_journey', 'transactions') }}
)

select
    'complete_journey' as source,
    cast(basket_id as varchar) as source_order_id,
    sum(coupon_disc) as coupon_amount
from transactions
where coupon_disc > 0
group by basket_id
