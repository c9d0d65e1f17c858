with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

events as (
    select * from {{ ref('int_engagement__messages_unioned') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

states as (
    {{ known_states(
        'events', ['source', 'channel', 'source_message_id'], 'occurred_date'
    ) }}
),

messages as (
    select
        events.source,
        events.channel,
        events.source_message_id,
        max(events.customer_key) as customer_key,
        coalesce(states.known_from, min(events.occurred_date)) as known_from,
        states.known_to,
        min(events.occurred_at) filter (events.event_type = 'sent') as sent_at,
        min(events.occurred_at) filter (events.event_type in ('opened', 'clicked')) as opened_at,
        min(events.occurred_at) filter (events.event_type = 'clicked') as clicked_at
    from events
    left join states
        on
            events.source = states.source
            and events.channel = states.channel
            and events.source_message_id = states.source_message_id
            and events.known_from <= states.known_from
    group by
        events.source, events.channel, events.source_message_id, states.known_from, states.known_to
),

dated as (
    select
        messages.*,
        {{ business_date('messages.sent_at', 'as_of.business_zone') }} as sent_date,
        {{ business_date('messages.opened_at', 'as_of.business_zone') }} as opened_date,
        {{ business_date('messages.clicked_at', 'as_of.business_zone') }} as clicked_date,
        date_part(
            'hour', messages.opened_at at time zone 'UTC' at time zone as_of.business_zone
        ) as opened_hour
    from messages
    cross join as_of
),

-- Counted by the day a message was sent; a response counts from the day on which it came.
in_reach as (
    select
        snapshots.customer_number,
        snapshots.as_of_date,
        dated.*,
        coalesce(dated.opened_date <= snapshots.as_of_date, false) as is_opened,
        coalesce(dated.clicked_date <= snapshots.as_of_date, false) as is_clicked
    from dated
    inner join people on dated.customer_key = people.customer_key
    inner join snapshots
        on
            people.customer_number = snapshots.customer_number
            and {{ is_within_days('dated.sent_date', 730, 'snapshots.as_of_date') }}
            and {{ is_known_on('dated', 'snapshots.as_of_date') }}
),

choices as (
    select
        customer_number,
        as_of_date,
        opened_hour,
        null as channel,
        count(*) as opened_count
    from in_reach
    where is_opened and {{ is_within_days('sent_date', 365) }}
    group by customer_number, as_of_date, opened_hour
    union all
    select
        customer_number,
        as_of_date,
        null as opened_hour,
        channel,
        count(*) as opened_count
    from in_reach
    where is_opened and {{ is_within_days('sent_date', 365) }}
    group by customer_number, as_of_date, channel
),

-- The likeliest; of two alike the earlier hour, and the channel that comes first by name.
preferred as (
    select
        customer_number,
        as_of_date,
        arg_max(opened_hour, (opened_count, -opened_hour))
        filter (opened_hour is not null) as best_hour_365d,
        arg_min(channel, (-opened_count, channel)) filter (channel is not null)
            as preferred_channel_365d
    from choices
    group by customer_number, as_of_date
),

counted as (
    select
        customer_number,
        as_of_date,
        max(
            greatest(
                sent_at,
                if(is_opened, opened_at, sent_at),
                if(is_clicked, clicked_at, sent_at)
            )
        ) as last_event_at,
        {%- for days in [30, 90, 365] %}
            count(*) filter ({{ is_within_days('sent_date', days) }}) as message_count_{{ days }}d,
            count(*) filter ({{ is_within_days('sent_date', days, lag=days) }})
                as message_count_prior_{{ days }}d,
            count(*) filter (is_opened and {{ is_within_days('sent_date', days) }})
                as open_count_{{ days }}d,
            count(*) filter (is_clicked and {{ is_within_days('sent_date', days) }})
                as click_count_{{ days }}d,
        {%- endfor %}
        max(opened_date) filter (is_opened) as last_opened_date
    from in_reach
    group by customer_number, as_of_date
)

select
    counted.*,
    preferred.best_hour_365d,
    preferred.preferred_channel_365d
from counted
left join preferred using (customer_number, as_of_date)
