with unioned as (
    {{ union_by_name([
        ref('stg_complete_journey__redemptions'),
        ref('stg_demo__redemptions'),
    ]) }}
)

select
    source,
    source_campaign_id,
    coupon_code,
    customer_key,
    customer_key_type,
    redeemed_date,
    redemption_number,
    file_id
from unioned
