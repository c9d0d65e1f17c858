{{ config(materialized='table') }}
with identifiers as (
    select * from {{ ref('person_identifiers') }}
),

types as (
    select * from {{ ref('stg_identity__types') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

days as (
    select * from {{ ref('int_identity_history__days_recorded') }}
),

seen as (
    select
        identifiers.pseudonym,
        identifiers.person_id,
        identifiers.first_seen_at,
        types.priority,
        -- What carries no time cannot be proved to have been known before today.
        coalesce(
            {{ business_date('identifiers.first_seen_at', 'as_of.business_zone') }},
            as_of.as_of_date
        ) as first_seen_date
    from identifiers
    cross join as_of
    left join types on identifiers.identifier_type = types.identifier_type
)

select
    seen.pseudonym,
    seen.person_id,
    seen.first_seen_at,
    seen.priority,
    days.as_of_date as known_date
from seen
asof left join days on seen.first_seen_date <= days.as_of_date
