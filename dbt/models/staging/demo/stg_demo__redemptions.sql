with web_orders as (
    select * from {{ source('demo', 'web_orders') }}
),

redeemed as (
    select
        *,
        coalesce(login_pseudonym, email_pseudonym, phone_pseudonym) as customer_key,
        case
            when login_pseudonym is not null then 'login'
            when email_pseudonym is not null then 'email'
            when phone_pseudonym is not null then 'phone'
        end as customer_key_type,
        -- The day in the shop's zone: raw timestamps are in UTC.
        cast((ordered_at at time zone 'UTC') at time zone 'Asia/Seoul' as date) as redeemed_date
    from web_orders
    where coupon_code is not null
)

select
    'demo' as source,
    -- The code printed on a coupon is C and the number of its campaign.
    substring(coupon_code, 2) as source_campaign_id,
    coupon_code,
    customer_key,
    customer_key_type,
    redeemed_date,
    row_number() over (
        partition by coupon_code, customer_key, redeemed_date
        order by order_id
    ) as redemption_number,
    _file_id as file_id
from redeemed
where customer_key is not null
