with as_of as (
    select as_of_date as today from {{ ref('stg_run__as_of') }}
),

sends as (
    select * from {{ ref('int_campaigns__sends_dated') }}
),

earlier as (
    select * from {{ ref('int_campaigns__earlier_sends_counted') }}
),

covered as (
    select * from {{ ref('int_campaigns__covered_spend_measured') }}
),

redeemed_categories as (
    select * from {{ ref('int_campaigns__redeemed_categories_counted') }}
),

till_coupons as (
    select * from {{ ref('int_campaigns__till_coupons_counted') }}
),

coupons as (
    select
        source,
        source_campaign_id,
        count(distinct coupon_code) as coupon_count
    from {{ ref('int_campaigns__coupon_products_unioned') }}
    group by source, source_campaign_id
),

-- The people of today: a redemption with an identifier that was joined later is one.
responded as (
    select distinct
        redemptions.source,
        redemptions.source_campaign_id,
        redemptions.customer_id as later_customer_id
    from {{ ref('fct_redemptions') }} as redemptions
    inner join as_of on redemptions.redeemed_date <= as_of.today
)

select
    source,
    source_campaign_id,
    sends.customer_id,
    sends.started_date,
    sends.ended_date,
    sends.campaign_type,
    sends.ended_date - sends.started_date + 1 as length_days,
    coupons.coupon_count,
    covered.covered_spend_amount_28d,
    covered.covered_spend_amount_90d,
    covered.covered_spend_amount as covered_spend_amount_365d,
    covered.covered_spend_amount / covered.spend_amount as covered_spend_share_365d,
    covered.covered_product_count as covered_product_count_365d,
    covered.covered_day_count as covered_day_count_365d,
    coalesce(redeemed_categories.category_count, 0) as redeemed_category_count_365d,
    coalesce(earlier.campaign_contact_count_365d, 0) as campaign_contact_count_365d,
    coalesce(earlier.coupon_redemption_count_365d, 0) as coupon_redemption_count_365d,
    earlier.campaign_response_share_365d,
    coalesce(till_coupons.order_count, 0) as till_coupon_order_count_365d,
    coalesce(till_coupons.coupon_amount, 0) as till_coupon_amount_365d,
    if(sends.ended_date < as_of.today, responded.later_customer_id is not null, null)
        as is_redeemed
from sends
cross join as_of
left join coupons using (source, source_campaign_id)
left join covered using (source, source_campaign_id, customer_number)
left join redeemed_categories using (source, source_campaign_id, customer_number)
left join earlier using (source, source_campaign_id, customer_number)
left join till_coupons using (source, source_campaign_id, customer_number)
left join responded using (source, source_campaign_id, later_customer_id)
