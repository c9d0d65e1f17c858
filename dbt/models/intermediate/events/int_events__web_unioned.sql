with unioned as (
    {{ union_by_name([
        ref('stg_demo__web_events'),
        ref('stg_demo__app_events'),
    ]) }}
)

select
    source,
    platform,
    source_event_id,
    browser_key,
    customer_key,
    customer_key_type,
    event_type,
    source_product_id,
    occurred_at
from unioned
