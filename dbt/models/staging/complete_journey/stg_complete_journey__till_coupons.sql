with transactions as (
    select * from {{ source('complete_journey', 'transactions') }}
)

select
    'complete_journey' as source,
    cast(basket_id as varchar) as source_order_id,
    sum(coupon_disc) as coupon_amount,
    _file_id as file_id
from transactions
where coupon_disc > 0
group by basket_id, _file_id
