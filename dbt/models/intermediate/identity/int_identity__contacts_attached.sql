{{ config(materialized='table') }}
with types as (
    select * from {{ ref('stg_identity__types') }}
),

claims as (
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

-- The last to be seen with it, if alone, or if everybody else had given it up long before: a phone
-- number that was given out again.
holders as (
    select
        claims.*,
        types.limit_per_person
    from claims
    inner join types on claims.identifier_type = types.identifier_type
    where
        claims.claim_number = claims.claim_count
        and (
            claims.claim_count = 1
            or types.reassigned_after_days > 0
            and claims.first_seen_at
            > claims.others_last_seen_at + to_days(types.reassigned_after_days)
        )
),

own_counts as (
    select
        people_group,
        identifier_type,
        count(*) as own_count
    from {{ ref('int_identity__people_matched') }}
    group by people_group, identifier_type
)

select
    holders.pseudonym,
    holders.identifier_type,
    holders.people_group
from holders
left join own_counts
    on
        holders.people_group = own_counts.people_group
        and holders.identifier_type = own_counts.identifier_type
qualify
    holders.limit_per_person = 0
    or coalesce(own_counts.own_count, 0) + count(*) over (
        partition by holders.people_group, holders.identifier_type
    ) <= holders.limit_per_person
