with identifiers as (
    select * from {{ ref('person_identifiers') }}
),

history as (
    select * from {{ ref('person_identifier_history') }}
),

given as (
    select person_id from {{ ref('person_ids') }}
    union distinct
    -- Of the days that the first run filled in: no run gave these out, but training may name them.
    select person_id from history
),

gone as (
    select given.person_id as alias_person_id
    from given
    anti join identifiers on given.person_id = identifiers.person_id
),

-- A person's id is made from one of its identifiers: it stands for whoever has that one today.
by_own_identifier as (
    select
        gone.alias_person_id,
        identifiers.person_id
    from gone
    inner join identifiers
        on gone.alias_person_id = left(sha256('person:' || identifiers.pseudonym), 32)
),

companions as (
    select
        person_id,
        pseudonym
    from history
    union distinct
    select
        person_id,
        unnest(pseudonyms) as pseudonym
    from {{ ref('person_ids') }}
),

-- Where it is no longer in the data, for whoever has the oldest of those that were with it.
by_companion as (
    select
        gone.alias_person_id,
        identifiers.person_id
    from gone
    anti join by_own_identifier on gone.alias_person_id = by_own_identifier.alias_person_id
    inner join companions on gone.alias_person_id = companions.person_id
    inner join identifiers on companions.pseudonym = identifiers.pseudonym
    qualify row_number() over (
        partition by gone.alias_person_id
        order by identifiers.first_seen_at asc nulls last, identifiers.pseudonym asc
    ) = 1
),

resolved as (
    select * from by_own_identifier
    union all
    select * from by_companion
),

last_days as (
    select
        person_id,
        max(known_to) as since_date
    from history
    group by person_id
)

select
    resolved.alias_person_id,
    resolved.person_id,
    last_days.since_date
from resolved
left join last_days on resolved.alias_person_id = last_days.person_id
