-- Orders as they are known now: else who is who would depend on the day on which a line came.
with sightings as (
    select
        source,
        customer_key,
        customer_key_type,
        ordered_at as first_seen_at,
        ordered_at as last_seen_at
    from {{ ref('int_orders__orders_aggregated') }}
    where known_to is null
    union all
    select
        source,
        customer_key,
        customer_key_type,
        null as first_seen_at,
        null as last_seen_at
    from {{ ref('int_people__demographics_unioned') }}
    union all
    select
        source,
        customer_key,
        customer_key_type,
        cast(started_date as timestamp) as first_seen_at,
        cast(started_date as timestamp) as last_seen_at
    from {{ ref('int_campaigns__contacts_unioned') }}
    union all
    select
        source,
        customer_key,
        customer_key_type,
        cast(redeemed_date as timestamp) as first_seen_at,
        cast(redeemed_date as timestamp) as last_seen_at
    from {{ ref('int_campaigns__redemptions_unioned') }}
    union all
    select
        source,
        pseudonym as customer_key,
        identifier_type as customer_key_type,
        first_seen_at,
        last_seen_at
    from {{ ref('int_identity__sightings_unpivoted') }}
)

select
    customer_key_type as identifier_type,
    customer_key as pseudonym,
    source,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from sightings
where customer_key is not null
group by customer_key_type, customer_key, source
