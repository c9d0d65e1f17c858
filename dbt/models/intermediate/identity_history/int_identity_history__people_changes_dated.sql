with identifiers as (
    select * from {{ ref('int_identity_history__identifiers_dated') }}
),

links as (
    select * from {{ ref('int_identity_history__links_dated') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

-- An identifier that is linked to nothing is its own person on every day: nothing to derive.
linked_people as (
    select distinct person_id from links
),

evidence as (
    select
        person_id,
        known_date
    from links
    union all
    select
        identifiers.person_id,
        identifiers.known_date
    from identifiers
    semi join linked_people on identifiers.person_id = linked_people.person_id
),

-- Evidence from after today (an as_of set by hand) makes today's people a thing of the future.
people as (
    select
        person_id,
        bool_and(known_date is not null) as is_known_today
    from evidence
    group by person_id
)

select distinct
    evidence.person_id,
    evidence.known_date as as_of_date,
    people.is_known_today
from evidence
inner join people on evidence.person_id = people.person_id
cross join as_of
where
    evidence.known_date < as_of.as_of_date
    or (evidence.known_date is not null and not people.is_known_today)
