with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

customer_days as (
    select * from {{ ref('int_features__customer_days_aggregated') }}
),

-- Two years back: the year, and the year before it.
days_in_reach as (
    select
        snapshots.as_of_date,
        customer_days.*,
        -- One bit a week, counted back from the snapshot: the set bits are the distinct weeks.
        case
            when
                customer_days.purchase_count > 0
                and {{ is_within_days('customer_days.order_date', 365, 'snapshots.as_of_date') }}
                then 1::bigint << ((snapshots.as_of_date - customer_days.order_date) // 7)
        end as active_week,
        isodow(customer_days.order_date) as day_of_week
    from snapshots
    inner join customer_days
        on
            snapshots.customer_number = customer_days.customer_number
            and {{ is_within_days('customer_days.order_date', 730, 'snapshots.as_of_date') }}
)

select
    customer_number,
    as_of_date,
    max(last_event_at) as last_event_at,
    {%- for days in [7, 28, 30, 90, 365] %}
        {%- for window, lag in [(days ~ 'd', 0), ('prior_' ~ days ~ 'd', days)] %}
            {{ sum_within('purchase_count', days, lag=lag) }} as order_count_{{ window }},
            {{ sum_within('net_amount', days, 'double', lag=lag) }} as spend_amount_{{ window }},
        {%- endfor %}
    {%- endfor %}
    {%- for days in [30, 90, 365] %}
        sum(discount_amount) filter ({{ is_within_days('order_date', days) }})
        / nullif(sum(gross_amount) filter ({{ is_within_days('order_date', days) }}), 0)
            as discount_share_{{ days }}d,
    {%- endfor %}
    {%- for days in [28, 90, 365] %}
        {{ sum_within('item_count', days) }} as item_count_{{ days }}d,
    {%- endfor %}
    {%- for days in [90, 365] %}
        {{ sum_within('return_count', days) }} as return_count_{{ days }}d,
        count(*) filter (purchase_count > 0 and {{ is_within_days('order_date', days) }})
            as purchase_day_count_{{ days }}d,
        cast(bit_count(
            bit_or(active_week) filter ({{ is_within_days('order_date', days) }})
        ) as bigint) as active_week_count_{{ days }}d,
    {%- endfor %}
    {{ sum_within('purchase_count', 90, condition='day_of_week >= 6') }} as weekend_order_count_90d,
    {{ sum_within('evening_purchase_count', 90) }} as evening_order_count_90d,
    {{ sum_within('remote_purchase_count', 365) }} as remote_order_count_365d,
    -- The 28 days that followed this day a year ago: what the season may bring.
    {{ sum_within('purchase_count', 28, lag=337) }} as order_count_season_28d,
    {{ sum_within('net_amount', 28, 'double', lag=337) }} as spend_amount_season_28d,
    [
        {%- for day in range(1, 8) %}
            {{ sum_within('purchase_count', 365, condition='day_of_week = ' ~ day) }}
            {{- ',' if not loop.last }}
        {%- endfor %}
    ] as weekday_order_counts_365d
from days_in_reach
group by customer_number, as_of_date
