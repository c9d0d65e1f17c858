with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

touches as (
    {{ campaign_touches() }}
),

-- A person with two addresses may be sent a campaign twice: it is one campaign.
campaigns as (
    select
        snapshots.customer_number,
        snapshots.as_of_date,
        {%- for days in [90, 365] %}
            max(touches.contact_count) filter (
                {{ is_within_days('touches.touch_date', days, 'snapshots.as_of_date') }}
            ) as contact_count_{{ days }}d,
            sum(touches.redemption_count) filter (
                {{ is_within_days('touches.touch_date', days, 'snapshots.as_of_date') }}
            ) as redemption_count_{{ days }}d,
        {%- endfor %}
        max(touches.touch_date) as last_date
    from snapshots
    inner join people on snapshots.customer_number = people.customer_number
    inner join touches
        on
            people.customer_key = touches.customer_key
            and {{ is_within_days('touches.touch_date', 365, 'snapshots.as_of_date') }}
            and snapshots.as_of_date >= touches.known_from
    group by
        snapshots.customer_number, snapshots.as_of_date, touches.source, touches.source_campaign_id
)

select
    customer_number,
    as_of_date,
    cast(max(last_date) as timestamp) as last_event_at,
    {%- for days in [90, 365] %}
        cast(sum(contact_count_{{ days }}d) as bigint) as campaign_contact_count_{{ days }}d,
        cast(sum(redemption_count_{{ days }}d) as bigint) as coupon_redemption_count_{{ days }}d,
    {%- endfor %}
    count(*) filter (contact_count_365d > 0 and redemption_count_365d > 0)
    / nullif(count(*) filter (contact_count_365d > 0), 0) as campaign_response_share_365d
from campaigns
group by customer_number, as_of_date
