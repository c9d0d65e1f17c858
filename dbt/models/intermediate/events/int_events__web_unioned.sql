with unioned as (
    {{ union_by_name([
        ref('stg_demo__web_events'),
        ref('stg_demo__app_events'),
    ]) }}
),

as_of as (
    select business_zone from {{ ref('stg_run__as_of') }}
),

late_files as (
    select * from {{ ref('int_landing__late_files') }}
),

dated as (
    {{ dated_and_known('unioned', 'occurred_at', 'occurred_date') }}
)

select
    dated.source,
    dated.platform,
    dated.source_event_id,
    dated.browser_key,
    dated.customer_key,
    dated.customer_key_type,
    dated.event_type,
    dated.source_product_id,
    dated.occurred_at,
    dated.occurred_date,
    dated.known_from
from dated
