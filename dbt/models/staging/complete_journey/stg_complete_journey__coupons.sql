with coupons as (
    select * from {{ source('complete_journey', 'coupons') }}
)

-- The published table repeats 4,872 of its rows exactly.
select distinct
    'complete_journey' as source,
    cast(campaign_id as varchar) as source_campaign_id,
    cast(coupon_upc as varchar) as coupon_code,
    cast(product_id as varchar) as source_product_id
from coupons
