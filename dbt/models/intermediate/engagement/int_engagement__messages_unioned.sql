with unioned as (
    {{ union_by_name([
        ref('stg_demo__message_events'),
    ]) }}
),

as_of as (
    select business_zone from {{ ref('stg_run__as_of') }}
),

late_files as (
    select * from {{ ref('int_landing__late_files') }}
),

dated as (
    select
        unioned.*,
        {{ business_date('unioned.occurred_at', 'as_of.business_zone') }} as occurred_date
    from unioned
    cross join as_of
)

select
    dated.source,
    dated.channel,
    dated.source_message_id,
    dated.source_campaign_id,
    dated.customer_key,
    dated.customer_key_type,
    dated.event_type,
    dated.occurred_at,
    dated.occurred_date,
    {{ known_from('dated.occurred_date') }} as known_from
from dated
left join late_files
    on
        dated.source = late_files.source
        and dated.file_id = late_files.file_id
