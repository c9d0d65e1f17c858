{{ config(materialized='table') }}
with days as (
    select as_of_date from {{ ref('int_features__days_spined') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

timed_events as (
    select
        occurred_at as event_at,
        hash(
            source, platform, source_event_id, browser_key, customer_key, customer_key_type,
            event_type
        ) as row_hash
    from {{ ref('int_events__web_unioned') }}
    union all
    select
        occurred_at as event_at,
        hash(source, channel, source_message_id, customer_key, event_type) as row_hash
    from {{ ref('int_engagement__messages_unioned') }}
    union all
    select
        answered_at as event_at,
        hash(source, source_answer_id, customer_key, nps_score) as row_hash
    from {{ ref('int_surveys__answers_unioned') }}
),

-- One number a row, from all that a feature reads of it.
facts as (
    select
        order_date as event_date,
        hash(
            order_id, customer_key, ordered_at, store_id, channel, item_count, gross_amount,
            discount_amount, net_amount, is_return
        ) as row_hash
    from {{ ref('fct_orders') }}
    where customer_key is not null
    union all
    select
        order_date as event_date,
        hash(order_line_id, customer_key, product_id, net_amount, is_return) as row_hash
    from {{ ref('fct_order_lines') }}
    where customer_key is not null
    union all
    select
        started_date as event_date,
        hash(campaign_contact_id) as row_hash
    from {{ ref('fct_campaign_contacts') }}
    union all
    select
        redeemed_date as event_date,
        hash(redemption_id) as row_hash
    from {{ ref('fct_redemptions') }}
    union all
    select
        {{ business_date('timed_events.event_at', 'as_of.business_zone') }} as event_date,
        hash(timed_events.event_at, timed_events.row_hash) as row_hash
    from timed_events
    cross join as_of
),

fact_days as (
    select
        event_date,
        count(*) as row_count,
        sum(row_hash) as row_hashes
    from facts
    group by event_date
),

-- A catalogue has no history: whatever changes in it changes every day.
catalogue as (
    select sum(hash(product_id, department, category)) as row_hashes
    from {{ ref('dim_products') }}
),

known_facts as (
    select
        days.as_of_date,
        sum(fact_days.row_count) as row_count,
        sum(fact_days.row_hashes) as row_hashes
    from days
    left join fact_days on days.as_of_date >= fact_days.event_date
    group by days.as_of_date
),

known_people as (
    select
        days.as_of_date,
        sum(hash(people.customer_key, people.customer_id)) as row_hashes
    from days
    left join people
        on
            days.as_of_date >= people.known_from
            and days.as_of_date >= people.version_from
            and days.as_of_date < people.version_to
    group by days.as_of_date
),

versioned as (
    select
        known_facts.as_of_date,
        md5(
            concat_ws(
                ' ',
                {{ feature_code_version() }},
                as_of.business_zone,
                catalogue.row_hashes,
                known_facts.row_count,
                known_facts.row_hashes,
                known_people.row_hashes
            )
        ) as inputs_version
    from known_facts
    inner join known_people on known_facts.as_of_date = known_people.as_of_date
    cross join catalogue
    cross join as_of
),

held as (
    {{ held_feature_versions() }}
)

select
    versioned.as_of_date,
    versioned.inputs_version,
    held.as_of_date is null as is_due
from versioned
left join held
    on
        versioned.as_of_date = held.as_of_date
        and versioned.inputs_version = held.inputs_version
