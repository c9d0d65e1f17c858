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

late_files as (
    select * from {{ ref('int_landing__late_files') }}
),

handed_in as (
    select
        people.customer_number,
        orders.order_id,
        orders.order_date,
        till_coupons.coupon_amount,
        {{ known_from('orders.order_date') }} as known_from
    from till_coupons
    inner join orders on till_coupons.order_id = orders.order_id
    inner join people on orders.customer_key = people.customer_key
    left join late_files
        on
            till_coupons.source = late_files.source
            and till_coupons.file_id = late_files.file_id
)

select
    sends.source,
    sends.source_campaign_id,
    sends.customer_number,
    count(distinct handed_in.order_id) as order_count,
    cast(sum(handed_in.coupon_amount) as double) as coupon_amount
from sends
inner join handed_in
    on
        sends.customer_number = handed_in.customer_number
        and {{ is_within_days('handed_in.order_date', 365, 'sends.started_date - 1') }}
        and sends.started_date > handed_in.known_from
group by sends.source, sends.source_campaign_id, sends.customer_number
