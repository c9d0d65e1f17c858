with sends as (
    select * from {{ ref('int_campaigns__sends_dated') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

till_coupons as (
    select * from {{ ref('int_campaigns__till_coupons_unioned') }}
),

orders as (
    select * from {{ ref('fct_orders') }}
),

handed_in as (
    select
        people.customer_number,
        orders.order_date,
        till_coupons.coupon_amount
    from till_coupons
    inner join orders on till_coupons.order_id = orders.order_id
    inner join people on orders.customer_key = people.customer_key
)

select
    sends.source,
    sends.source_campaign_id,
    sends.customer_number,
    count(*) as order_count,
    cast(sum(handed_in.coupon_amount) as double) as coupon_amount
from sends
inner join handed_in
    on
        sends.customer_number = handed_in.customer_number
        and {{ is_within_days('handed_in.order_date', 365, 'sends.started_date - 1') }}
group by sends.source, sends.source_campaign_id, sends.customer_number
