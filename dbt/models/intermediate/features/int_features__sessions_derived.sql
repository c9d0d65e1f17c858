-- depends_on: {{ ref('int_events__web_unioned') }}
{{ config(
    materialized='in_batches', batch_day='session_date', batch_rows=10_000_000,
    batch_counts='event_days',
) }}
with events as (
    select * from {{ ref('int_features__web_events_versioned') }}
),

-- A session ends after half an hour of quiet, when somebody else logs in, and at midnight: what was
-- known at the end of a day must not depend on the next.
marked as (
    select
        *,
        coalesce(
            occurred_at > lag(occurred_at) over so_far + interval 30 minute
            or login_key <> lag(login_key ignore nulls) over so_far,
            row_number() over so_far = 1
        ) as is_first
    from events
    window
        so_far as (
            partition by source, platform, browser_key, session_date, known_from
            order by occurred_at, source_event_id
        )
),

numbered as (
    select
        *,
        count(*) filter (is_first) over (
            partition by source, platform, browser_key, session_date, known_from
            order by occurred_at, source_event_id
        ) as session_number
    from marked
)

select
    source,
    platform,
    session_date,
    known_from,
    known_to,
    -- Whoever logs in during a session was there from its start.
    coalesce(max(login_key), max(customer_key)) as customer_key,
    min(occurred_at) as started_at,
    max(occurred_at) as ended_at,
    date_diff('second', min(occurred_at), max(occurred_at)) as dwell_seconds,
    count(*) filter (event_type <> 'login') as page_count,
    count(*) filter (event_type = 'search') as search_count,
    count(*) filter (event_type = 'view') as view_count,
    bool_or(event_type = 'cart_add') as has_cart,
    bool_or(event_type = 'purchase') as has_purchase,
    max(
        case event_type
            when 'purchase' then 5
            when 'checkout' then 4
            when 'cart_add' then 3
            when 'view' then 2
            when 'search' then 2
            else 1
        end
    ) as funnel_depth
from numbered
group by source, platform, browser_key, session_date, known_from, known_to, session_number
