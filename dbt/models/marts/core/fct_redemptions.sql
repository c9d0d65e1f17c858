with redemptions as (
    select * from {{ ref('int_campaigns__redemptions_unioned') }}
),

late_files as (
    select * from {{ ref('int_landing__late_files') }}
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
    redemptions.redeemed_date,
    {{ known_from('redemptions.redeemed_date') }} as known_from
from redemptions
left join people on redemptions.customer_key = people.pseudonym
left join late_files
    on
        redemptions.source = late_files.source
        and redemptions.file_id = late_files.file_id
