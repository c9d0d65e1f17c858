-- One number a row, from all that a feature reads of it.
with facts as (
    select
        known_from,
        hash(
            order_id, customer_key, ordered_at, store_id, channel, item_count, gross_amount,
            discount_amount, net_amount, is_return
        ) as row_hash
    from {{ ref('int_orders__orders_aggregated') }}
    where customer_key is not null
    union all
    select
        known_from,
        hash(order_id, customer_key, product_id, order_date, net_amount, is_return) as row_hash
    from {{ ref('fct_order_lines') }}
    where customer_key is not null
    union all
    select
        known_from,
        hash(customer_key, source, source_campaign_id, touch_date, contact_count) as row_hash
    from ({{ campaign_touches() }}) as touches
    union all
    select
        known_from,
        hash(
            source, platform, source_event_id, browser_key, customer_key, customer_key_type,
            event_type, occurred_at
        ) as row_hash
    from {{ ref('int_events__web_unioned') }}
    union all
    select
        known_from,
        hash(source, channel, source_message_id, customer_key, event_type, occurred_at) as row_hash
    from {{ ref('int_engagement__messages_unioned') }}
    union all
    select
        known_from,
        hash(source, source_answer_id, customer_key, nps_score, answered_at) as row_hash
    from {{ ref('int_surveys__answers_unioned') }}
)

select
    known_from,
    count(*) as row_count,
    sum(row_hash) as row_hashes
from facts
group by known_from
