with identifiers as (
    select * from {{ ref('int_identity_history__identifiers_dated') }}
),

changes as (
    select * from {{ ref('int_identity_history__people_changes_dated') }}
),

closed as (
    select * from {{ ref('int_identity_history__past_links_closed') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

changed_people as (
    select distinct
        person_id,
        is_known_today
    from changes
),

past_members as (
    select
        changes.as_of_date,
        identifiers.*,
        coalesce(closed.component, changes.as_of_date || ' ' || identifiers.pseudonym) as component
    from changes
    inner join identifiers
        on
            changes.person_id = identifiers.person_id
            and changes.as_of_date >= identifiers.known_date
    left join closed on changes.as_of_date || ' ' || identifiers.pseudonym = closed.node
),

-- The same anchor as in person_identifiers, among what was known on the day.
anchored as (
    select
        as_of_date,
        pseudonym,
        first_value(pseudonym) over (
            partition by component
            order by first_seen_at asc nulls last, priority asc, pseudonym asc
        ) as anchor
    from past_members
    union all
    -- What is linked to nothing is its own person on every day.
    select
        identifiers.known_date as as_of_date,
        identifiers.pseudonym,
        identifiers.pseudonym as anchor
    from identifiers
    cross join as_of
    anti join changed_people on identifiers.person_id = changed_people.person_id
    where identifiers.known_date < as_of.as_of_date
)

select
    as_of_date,
    pseudonym,
    left(sha256('person:' || anchor), 32) as person_id
from anchored
union all
select
    as_of.as_of_date,
    identifiers.pseudonym,
    identifiers.person_id
from identifiers
cross join as_of
left join changed_people on identifiers.person_id = changed_people.person_id
where
    identifiers.known_date is not null
    and coalesce(changed_people.is_known_today, true)
