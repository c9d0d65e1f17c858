-- depends_on: {{ ref('int_features__days_compared') }}
{{ config(
    materialized='in_batches', batch_day='as_of_date', batch_rows=2_000_000,
    batch_counts='due_snapshots', kept='is_kept_snapshot',
) }}
with snapshots as (
    select
        *,
        last_purchase_date - first_purchase_date as gap_days,
        purchase_day_count - 1 as gap_count,
        (last_purchase_date - first_purchase_date) / nullif(purchase_day_count - 1, 0)
            as mean_gap_days
    from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

orders as (
    select * from {{ ref('int_features__order_windows_aggregated') }}
),

variety as (
    select * from {{ ref('int_features__variety_counted') }}
),

mix as (
    select * from {{ ref('int_features__mix_measured') }}
),

stores as (
    select * from {{ ref('dim_stores') }}
),

touches as (
    select * from {{ ref('int_features__campaign_touches_counted') }}
),

sessions as (
    select * from {{ ref('int_features__session_windows_aggregated') }}
),

messages as (
    select * from {{ ref('int_features__message_responses_aggregated') }}
),

answers as (
    select * from {{ ref('int_features__surveys_looked_up') }}
),

-- Before its first event a source says nothing about anybody; after it, no event is a zero.
measured as (
    select
        (
            select min(known_from)
            from {{ ref('int_events__web_unioned') }}
        ) as sessions_from,
        (
            select min(known_from)
            from {{ ref('int_engagement__messages_unioned') }}
        ) as messages_from
)

select
    snapshots.customer_id,
    snapshots.as_of_date,
    snapshots.inputs_version,
    greatest(
        snapshots.last_event_at,
        orders.last_event_at,
        touches.last_event_at,
        sessions.last_event_at,
        messages.last_event_at,
        answers.last_event_at
    ) as max_event_at,
    snapshots.as_of_date - snapshots.last_purchase_date as recency_days,
    snapshots.as_of_date - snapshots.first_purchase_date as tenure_days,
    {%- for days in [7, 28, 30, 90, 365] %}
        {%- for window in [days ~ 'd', 'prior_' ~ days ~ 'd'] %}
            coalesce(orders.order_count_{{ window }}, 0) as order_count_{{ window }},
            coalesce(orders.spend_amount_{{ window }}, 0) as spend_amount_{{ window }},
        {%- endfor %}
    {%- endfor %}
    {%- for days in [30, 90, 365] %}
        -- No source knows a cost yet; see features.yml.
        cast(null as double) as margin_amount_{{ days }}d,
        orders.discount_share_{{ days }}d,
    {%- endfor %}
    orders.spend_amount_365d / nullif(orders.order_count_365d, 0) as average_order_amount,
    orders.spend_amount_90d / nullif(orders.order_count_90d, 0) as average_order_amount_90d,
    {%- for days in [28, 90, 365] %}
        coalesce(orders.item_count_{{ days }}d, 0) as item_count_{{ days }}d,
    {%- endfor %}
    orders.item_count_90d / nullif(orders.order_count_90d, 0) as items_per_order_90d,
    {%- for days in [90, 365] %}
        coalesce(orders.return_count_{{ days }}d, 0) as return_count_{{ days }}d,
        coalesce(orders.purchase_day_count_{{ days }}d, 0) as purchase_day_count_{{ days }}d,
        coalesce(orders.active_week_count_{{ days }}d, 0) as active_week_count_{{ days }}d,
    {%- endfor %}
    orders.return_count_365d / nullif(orders.return_count_365d + orders.order_count_365d, 0)
        as return_share_365d,
    {%- for item in ['distinct_product', 'distinct_category', 'distinct_department', 'store'] %}
        coalesce(variety.{{ item }}_count_90d, 0) as {{ item }}_count_90d,
    {%- endfor %}
    mix.top_department_90d,
    mix.top_department_share_90d,
    mix.department_entropy_90d,
    mix.home_store_90d,
    mix.home_store_share_90d,
    stores.region as home_region_90d,
    snapshots.mean_gap_days,
    -- From sums of whole days: stddev_samp() adds doubles in whatever order its threads end.
    sqrt(
        (
            snapshots.gap_count * snapshots.squared_gap_days
            - snapshots.gap_days * snapshots.gap_days
        )
        / nullif(snapshots.gap_count * (snapshots.gap_count - 1), 0)
    ) as gap_deviation_days,
    (snapshots.as_of_date - snapshots.last_purchase_date) / snapshots.mean_gap_days
        as recency_over_mean_gap,
    if(
        orders.order_count_365d > 0,
        list_position(
            orders.weekday_order_counts_365d, list_max(orders.weekday_order_counts_365d)
        ),
        null
    ) as favourite_weekday_365d,
    coalesce(orders.weekend_order_count_90d, 0)
    / nullif(orders.order_count_90d, 0) as weekend_share_90d,
    coalesce(orders.evening_order_count_90d, 0)
    / nullif(orders.order_count_90d, 0) as evening_share_90d,
    coalesce(orders.remote_order_count_365d, 0)
    / nullif(orders.order_count_365d, 0) as remote_share_365d,
    -- Only a customer of a year has a season to look back on.
    {%- for measure in ['order_count', 'spend_amount'] %}
        if(
            snapshots.as_of_date - snapshots.first_purchase_date >= 365,
            coalesce(orders.{{ measure }}_season_28d, 0),
            null
        ) as {{ measure }}_season_28d,
    {%- endfor %}
    {%- for days in [90, 365] %}
        coalesce(touches.campaign_contact_count_{{ days }}d, 0)
            as campaign_contact_count_{{ days }}d,
        coalesce(touches.coupon_redemption_count_{{ days }}d, 0)
            as coupon_redemption_count_{{ days }}d,
    {%- endfor %}
    touches.campaign_response_share_365d,
    snapshots.as_of_date - sessions.last_session_date as last_session_days,
    {%- for days in [7, 30, 90, 365] %}
        {%- for window in [days ~ 'd', 'prior_' ~ days ~ 'd'] %}
            {{ known_since('sessions.session_count_' ~ window, 'measured.sessions_from') }}
                as session_count_{{ window }},
        {%- endfor %}
    {%- endfor %}
    {%- for measure in [
        'view', 'search', 'view_without_order', 'cart_session', 'abandoned_cart'
    ] %}
        {{ known_since('sessions.' ~ measure ~ '_count_30d', 'measured.sessions_from') }}
            as {{ measure }}_count_30d,
        {{ known_since('sessions.' ~ measure ~ '_count_90d', 'measured.sessions_from') }}
            as {{ measure }}_count_90d,
    {%- endfor %}
    sessions.page_count_90d / nullif(sessions.session_count_90d, 0) as pages_per_session_90d,
    sessions.dwell_seconds_90d / nullif(sessions.session_count_90d, 0)
        as dwell_seconds_per_session_90d,
    sessions.abandoned_cart_count_90d / nullif(sessions.cart_session_count_90d, 0)
        as cart_abandonment_share_90d,
    {{ known_since('sessions.funnel_depth_30d', 'measured.sessions_from') }} as funnel_depth_30d,
    if(
        measured.sessions_from <= snapshots.as_of_date,
        {{ funnel_stages() }}[coalesce(sessions.funnel_depth_30d, 0) + 1],
        null
    ) as funnel_stage_30d,
    sessions.app_session_count_365d / nullif(sessions.session_count_365d, 0)
        as app_session_share_365d,
    case
        when sessions.app_session_count_365d * 2 > sessions.session_count_365d then 'app'
        when sessions.session_count_365d > 0 then 'web'
    end as preferred_device_365d,
    {%- for days in [30, 90, 365] %}
        {%- for count in [
            'message_count_' ~ days ~ 'd',
            'message_count_prior_' ~ days ~ 'd',
            'open_count_' ~ days ~ 'd',
            'click_count_' ~ days ~ 'd',
        ] %}
            {{ known_since('messages.' ~ count, 'measured.messages_from') }} as {{ count }},
        {%- endfor %}
    {%- endfor %}
    {%- for days in [90, 365] %}
        messages.open_count_{{ days }}d / nullif(messages.message_count_{{ days }}d, 0)
            as open_share_{{ days }}d,
        messages.click_count_{{ days }}d / nullif(messages.message_count_{{ days }}d, 0)
            as click_share_{{ days }}d,
    {%- endfor %}
    snapshots.as_of_date - messages.last_opened_date as last_open_days,
    messages.preferred_channel_365d,
    messages.best_hour_365d,
    answers.nps_score as nps_score_365d,
    snapshots.as_of_date - answers.answered_date as nps_age_days
from snapshots
cross join measured
left join orders using (customer_number, as_of_date)
left join variety using (customer_number, as_of_date)
left join mix using (customer_number, as_of_date)
left join stores on mix.home_store_90d = stores.store_id
left join touches using (customer_number, as_of_date)
left join sessions using (customer_number, as_of_date)
left join messages using (customer_number, as_of_date)
left join answers using (customer_number, as_of_date)
