with events as (
    select * from {{ ref('int_engagement__messages_unioned') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

-- What was known of a message, before a late event of it came and after.
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
)

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
