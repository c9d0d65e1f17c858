with unioned as (
    {{ union_by_name([
        ref('stg_complete_journey__till_coupons'),
    ]) }}
)

select
    source,
    source || ':' || source_order_id as order_id,
    coupon_amount,
    file_id
from unioned
