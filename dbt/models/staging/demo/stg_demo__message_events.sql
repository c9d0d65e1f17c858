with email_events as (
    select * from {{ source('demo', 'email_events') }}
),

push_events as (
    select * from {{ source('demo', 'push_events') }}
)

select
    'demo' as source,
    'email' as channel,
    message_id as source_message_id,
    cast(campaign_id as varchar) as source_campaign_id,
    email_pseudonym as customer_key,
    'email' as customer_key_type,
    event as event_type,
    occurred_at,
    _file_id as file_id
from email_events

union all

select
    'demo' as source,
    'push' as channel,
    message_id as source_message_id,
    cast(campaign_id as varchar) as source_campaign_id,
    device_pseudonym as customer_key,
    'device' as customer_key_type,
    event as event_type,
    occurred_at,
    _file_id as file_id
from push_events
