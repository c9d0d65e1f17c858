with events as (
    select
        *,
        occurred_date as session_date
    from {{ ref('int_events__web_unioned') }}
),

-- What was known of a browser's day, before a late event of it came and after.
states as (
    {{ known_states(
        'events', ['source', 'platform', 'browser_key', 'session_date'], 'occurred_date'
    ) }}
)

select
    events.* exclude (known_from),
    if(events.customer_key_type = 'login', events.customer_key, null) as login_key,
    coalesce(states.known_from, events.session_date) as known_from,
    states.known_to
from events
left join states
    on
        events.source = states.source
        and events.platform = states.platform
        and events.browser_key = states.browser_key
        and events.session_date = states.session_date
        and events.known_from <= states.known_from
