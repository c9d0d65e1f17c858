with customer_days as (
    select * from {{ ref('int_orders__customer_days_aggregated') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

segments as (
    select * from {{ ref('rfm_segments') }}
),

measured as (
    select
        customer_days.customer_id,
        as_of.as_of_date,
        as_of.currency,
        as_of.as_of_date - max(customer_days.order_date) filter (customer_days.purchase_count > 0)
            as recency_days,
        sum(customer_days.purchase_count) filter ({{ is_within_days('order_date', 365) }})
            as frequency,
        sum(customer_days.net_amount) filter ({{ is_within_days('order_date', 365) }})
            as monetary_amount
    from customer_days
    cross join as_of
    group by customer_days.customer_id, as_of.as_of_date, as_of.currency
    having sum(customer_days.purchase_count) > 0
),

scored as (
    select
        customer_id,
        as_of_date,
        recency_days,
        cast(coalesce(frequency, 0) as bigint) as frequency,
        cast(coalesce(monetary_amount, 0) as decimal(18, 4)) as monetary_amount,
        currency,
        cast({{ quantile_score('-recency_days') }} as integer) as recency_score,
        cast({{ quantile_score('coalesce(frequency, 0)') }} as integer) as frequency_score,
        cast({{ quantile_score('coalesce(monetary_amount, 0)') }} as integer) as monetary_score
    from measured
)

select
    scored.customer_id,
    scored.as_of_date,
    scored.recency_days,
    scored.frequency,
    scored.monetary_amount,
    scored.currency,
    scored.recency_score,
    scored.frequency_score,
    scored.monetary_score,
    concat(scored.recency_score, scored.frequency_score, scored.monetary_score) as rfm_score,
    segments.rfm_segment
from scored
-- Frequency and monetary value count as one axis: their mean, a half rounded up.
left join segments
    on
        scored.recency_score = segments.recency_score
        and (scored.frequency_score + scored.monetary_score + 1) // 2
        = segments.frequency_monetary_score
