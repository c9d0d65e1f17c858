{{ config(materialized='table') }}
with links as (
    select * from {{ ref('identifier_edges') }}
    where is_accepted
),

identifiers as (
    select * from {{ ref('int_identity_history__identifiers_dated') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

days as (
    select * from {{ ref('int_identity_history__days_recorded') }}
),

seen as (
    select
        links.*,
        {{ business_date('links.first_seen_at', 'as_of.business_zone') }} as seen_date,
        -- An approval is mostly younger than the newest record; the run that obeys it knows it.
        case
            when links.link_kind = 'approved' then least(seen_date, as_of.as_of_date)
            else coalesce(seen_date, as_of.as_of_date)
        end as first_seen_date
    from links
    cross join as_of
),

dated as (
    select
        seen.*,
        days.as_of_date as known_date
    from seen
    asof left join days on seen.first_seen_date <= days.as_of_date
)

select
    dated.pseudonym_a,
    dated.pseudonym_b,
    dated.link_kind,
    dated.first_seen_at,
    end_a.person_id,
    -- A link is known once both its ends are: an undated end holds it back.
    if(
        dated.known_date is null or end_a.known_date is null or end_b.known_date is null,
        null,
        greatest(dated.known_date, end_a.known_date, end_b.known_date)
    ) as known_date
from dated
inner join identifiers as end_a on dated.pseudonym_a = end_a.pseudonym
inner join identifiers as end_b on dated.pseudonym_b = end_b.pseudonym
