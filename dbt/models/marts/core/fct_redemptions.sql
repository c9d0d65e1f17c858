with redemptions as (
    select * from {{ ref('int_campaigns__redemptions_unioned') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
)

select
    concat_ws(
        ':',
        redemptions.source,
        redemptions.source_campaign_id,
        redemptions.coupon_code,
        redemptions.customer_key,
        redemptions.redeemed_date,
        redemptions.redemption_number
    ) as redemption_id,
    redemptions.source,
    redemptions.source_campaign_id,
    redemptions.coupon_code,
    redemptions.customer_key,
    people.person_id as customer_id,
    redemptions.redeemed_date
from redemptions
left join people on redemptions.customer_key = people.pseudonym
