with unioned as (
    {{ union_by_name([
        ref('stg_complete_journey__coupons'),
    ]) }}
)

select
    source,
    source_campaign_id,
    coupon_code,
    source || ':' || source_product_id as product_id
from unioned
