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

-- One number a row, from all that a feature reads of it.
facts as (
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
),

fact_days as (
    select
        known_from,
        count(*) as row_count,
        sum(row_hash) as row_hashes
    from facts
    group by known_from
),

-- A catalogue has no history: whatever changes in it changes every day. A product without an entry
-- says nothing that its lines do not.
described as (
    select hash(product_id, department, category) as row_hash
    from {{ ref('dim_products') }}
    where department is not null or category is not null
    union all
    select hash(store_id, region) as row_hash
    from {{ ref('dim_stores') }}
),

catalogue as (
    select sum(row_hash) as row_hashes
    from described
),

known_facts as (
    select
        days.as_of_date,
        sum(fact_days.row_count) as row_count,
        sum(fact_days.row_hashes) as row_hashes
    from days
    left join fact_days on days.as_of_date >= fact_days.known_from
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
