with messages as (
    select * from {{ ref('int_features__messages_looked_up') }}
),

choices as (
    select
        customer_number,
        as_of_date,
        opened_hour,
        null as channel,
        count(*) as opened_count
    from messages
    where is_opened and {{ is_within_days('sent_date', 365) }}
    group by customer_number, as_of_date, opened_hour
    union all
    select
        customer_number,
        as_of_date,
        null as opened_hour,
        channel,
        count(*) as opened_count
    from messages
    where is_opened and {{ is_within_days('sent_date', 365) }}
    group by customer_number, as_of_date, channel
),

-- The likeliest; of two alike the earlier hour, and the channel that comes first by name.
preferred as (
    select
        customer_number,
        as_of_date,
        arg_max(opened_hour, (opened_count, -opened_hour))
        filter (opened_hour is not null) as best_hour_365d,
        arg_min(channel, (-opened_count, channel)) filter (channel is not null)
            as preferred_channel_365d
    from choices
    group by customer_number, as_of_date
),

counted as (
    select
        customer_number,
        as_of_date,
        max(
            greatest(
                sent_at,
                if(is_opened, opened_at, sent_at),
                if(is_clicked, clicked_at, sent_at)
            )
        ) as last_event_at,
        {%- for days in [30, 90, 365] %}
            count(*) filter ({{ is_within_days('sent_date', days) }}) as message_count_{{ days }}d,
            count(*) filter ({{ is_within_days('sent_date', days, lag=days) }})
                as message_count_prior_{{ days }}d,
            count(*) filter (is_opened and {{ is_within_days('sent_date', days) }})
                as open_count_{{ days }}d,
            count(*) filter (is_clicked and {{ is_within_days('sent_date', days) }})
                as click_count_{{ days }}d,
        {%- endfor %}
        max(opened_date) filter (is_opened) as last_opened_date
    from messages
    group by customer_number, as_of_date
)

select
    counted.*,
    preferred.best_hour_365d,
    preferred.preferred_channel_365d
from counted
left join preferred using (customer_number, as_of_date)
