with coupon_redemptions as (
    select * from {{ source('complete_journey', 'coupon_redemptions') }}
)

select
    'complete_journey' as source,
    cast(campaign_id as varchar) as source_campaign_id,
    cast(coupon_upc as varchar) as coupon_code,
    household_id_pseudonym as customer_key,
    'customer_id' as customer_key_type,
    redemption_date as redeemed_date,
    -- One customer may redeem the same coupon twice on one day: the source gives such rows no key.
    row_number() over (
        partition by campaign_id, coupon_upc, household_id_pseudonym, redemption_date
        order by _file_id, _row_number
    ) as redemption_number,
    _file_id as file_id
from coupon_redemptions
