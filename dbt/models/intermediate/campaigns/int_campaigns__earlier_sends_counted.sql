with sends as (
    select * from {{ ref('int_campaigns__sends_dated') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

touches as (
    {{ campaign_touches() }}
),

earlier as (
    select
        sends.source,
        sends.source_campaign_id,
        sends.customer_number,
        touches.source as earlier_source,
        touches.source_campaign_id as earlier_campaign_id,
        max(touches.contact_count) as contact_count,
        sum(touches.redemption_count) as redemption_count
    from sends
    inner join people on sends.customer_number = people.customer_number
    inner join touches
        on
            people.customer_key = touches.customer_key
            and {{ is_within_days('touches.touch_date', 365, 'sends.started_date - 1') }}
            and sends.started_date > touches.known_from
    group by
        sends.source, sends.source_campaign_id, sends.customer_number,
        touches.source, touches.source_campaign_id
)

select
    source,
    source_campaign_id,
    customer_number,
    cast(sum(contact_count) as bigint) as campaign_contact_count_365d,
    cast(sum(redemption_count) as bigint) as coupon_redemption_count_365d,
    count(*) filter (contact_count > 0 and redemption_count > 0)
    / nullif(count(*) filter (contact_count > 0), 0) as campaign_response_share_365d
from earlier
group by source, source_campaign_id, customer_number
