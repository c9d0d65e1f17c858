with unioned as (
    {{ union_by_name([
        ref('stg_demo__message_events'),
    ]) }}
)

select
    source,
    channel,
    source_message_id,
    source_campaign_id,
    customer_key,
    customer_key_type,
    event_type,
    occurred_at
from unioned
