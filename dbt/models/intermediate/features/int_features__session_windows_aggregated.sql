with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

sessions as (
    select * from {{ ref('int_features__sessions_derived') }}
),

in_reach as (
    select
        snapshots.customer_number,
        snapshots.as_of_date,
        sessions.*
    from sessions
    inner join people on sessions.customer_key = people.customer_key
    inner join snapshots
        on
            people.customer_number = snapshots.customer_number
            and {{ is_within_days('sessions.session_date', 730, 'snapshots.as_of_date') }}
            and {{ is_known_on('sessions', 'snapshots.as_of_date') }}
)

select
    customer_number,
    as_of_date,
    max(ended_at) as last_event_at,
    max(session_date) as last_session_date,
    {%- for days in [7, 30, 90, 365] %}
        count(*) filter ({{ is_within_days('session_date', days) }}) as session_count_{{ days }}d,
        count(*) filter ({{ is_within_days('session_date', days, lag=days) }})
            as session_count_prior_{{ days }}d,
    {%- endfor %}
    {%- for days in [30, 90] %}
        sum(page_count) filter ({{ is_within_days('session_date', days) }})
            as page_count_{{ days }}d,
        sum(dwell_seconds) filter ({{ is_within_days('session_date', days) }})
            as dwell_seconds_{{ days }}d,
        sum(search_count) filter ({{ is_within_days('session_date', days) }})
            as search_count_{{ days }}d,
        sum(view_count) filter ({{ is_within_days('session_date', days) }})
            as view_count_{{ days }}d,
        sum(view_count) filter (not has_purchase and {{ is_within_days('session_date', days) }})
            as view_without_order_count_{{ days }}d,
        count(*) filter (has_cart and {{ is_within_days('session_date', days) }})
            as cart_session_count_{{ days }}d,
        count(*) filter (
            has_cart and not has_purchase and {{ is_within_days('session_date', days) }}
        ) as abandoned_cart_count_{{ days }}d,
    {%- endfor %}
    max(funnel_depth) filter ({{ is_within_days('session_date', 30) }}) as funnel_depth_30d,
    count(*) filter (platform = 'app' and {{ is_within_days('session_date', 365) }})
        as app_session_count_365d
from in_reach
group by customer_number, as_of_date
