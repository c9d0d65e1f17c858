with unioned as (
    {{ union_by_name([
        ref('stg_complete_journey__campaign_contacts'),
        ref('stg_demo__campaign_contacts'),
    ]) }}
)

select
    source,
    source_campaign_id,
    campaign_type,
    customer_key,
    customer_key_type,
    channel,
    started_date,
    ended_date,
    file_id
from unioned
