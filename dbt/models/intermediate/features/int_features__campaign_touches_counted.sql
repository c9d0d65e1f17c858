with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
),

touches as (
    select
        customer_id,
        started_date as touch_date,
        1 as contact_count,
        0 as redemption_count
    from {{ ref('fct_campaign_contacts') }}
    union all
    select
        customer_id,
        redeemed_date as touch_date,
        0 as contact_count,
        1 as redemption_count
    from {{ ref('fct_redemptions') }}
)

select
    snapshots.customer_id,
    snapshots.as_of_date,
    sum(touches.contact_count) as campaign_contact_count_90d,
    sum(touches.redemption_count) as coupon_redemption_count_90d
from snapshots
inner join touches
    on
        snapshots.customer_id = touches.customer_id
        and {{ is_within_days('touches.touch_date', 90, 'snapshots.as_of_date') }}
group by snapshots.customer_id, snapshots.as_of_date
