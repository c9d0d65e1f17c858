with sends as (
    select * from {{ ref('int_campaigns__sends_dated') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

redemptions as (
    select * from {{ ref('fct_redemptions') }}
),

coupon_categories as (
    select distinct
        coupon_products.source,
        coupon_products.source_campaign_id,
        coupon_products.coupon_code,
        products.category
    from {{ ref('int_campaigns__coupon_products_unioned') }} as coupon_products
    inner join {{ ref('dim_products') }} as products
        on coupon_products.product_id = products.product_id
    where products.category is not null
),

redeemed as (
    select distinct
        people.customer_number,
        redemptions.redeemed_date,
        coupon_categories.category
    from redemptions
    inner join people on redemptions.customer_key = people.customer_key
    inner join coupon_categories
        on
            redemptions.source = coupon_categories.source
            and redemptions.source_campaign_id = coupon_categories.source_campaign_id
            and redemptions.coupon_code = coupon_categories.coupon_code
)

-- Several coupons of a campaign may be good for one category: it counts once.
select
    sends.source,
    sends.source_campaign_id,
    sends.customer_number,
    count(distinct redeemed.category) as category_count
from sends
inner join redeemed
    on
        sends.customer_number = redeemed.customer_number
        and {{ is_within_days('redeemed.redeemed_date', 365, 'sends.started_date - 1') }}
inner join coupon_categories
    on
        sends.source = coupon_categories.source
        and sends.source_campaign_id = coupon_categories.source_campaign_id
        and redeemed.category = coupon_categories.category
group by sends.source, sends.source_campaign_id, sends.customer_number
