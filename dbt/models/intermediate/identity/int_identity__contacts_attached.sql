{{ config(materialized='table') }}
with claims as (
    select
        *,
        lag(last_seen_at) over by_age as others_last_seen_at,
        count(*) over (partition by pseudonym) as claim_count,
        row_number() over by_age as claim_number
    from {{ ref('int_identity__contacts_claimed') }}
    window by_age as (
        partition by pseudonym order by last_seen_at, first_seen_at, people_group
    )
),

-- The last to be seen with it, if alone, or if everybody else had given it up half a year before:
-- a phone number that was given out again.
holders as (
    select *
    from claims
    where
        claim_number = claim_count
        and (claim_count = 1 or first_seen_at > others_last_seen_at + interval 180 days)
),

own_counts as (
    select
        people_group,
        identifier_type,
        count(*) as own_count
    from {{ ref('int_identity__people_matched') }}
    group by people_group, identifier_type
),

limits as (
    select
        identifier_type,
        limit_per_person
    from {{ ref('stg_identity__types') }}
    where limit_per_person > 0
)

select
    holders.pseudonym,
    holders.identifier_type,
    holders.people_group
from holders
left join limits on holders.identifier_type = limits.identifier_type
left join own_counts
    on
        holders.people_group = own_counts.people_group
        and holders.identifier_type = own_counts.identifier_type
qualify
    limits.limit_per_person is null
    or coalesce(own_counts.own_count, 0) + count(*) over (
        partition by holders.people_group, holders.identifier_type
    ) <= limits.limit_per_person
