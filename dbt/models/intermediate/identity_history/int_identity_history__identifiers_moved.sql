with history as (
    select * from {{ ref('person_identifier_history') }}
),

days as (
    select * from {{ ref('int_identity_history__days_recorded') }}
)

select
    later.known_from as changed_date,
    later.pseudonym,
    earlier.person_id as person_id_from,
    later.person_id as person_id_to
from history as later
inner join history as earlier
    on
        later.pseudonym = earlier.pseudonym
        and later.known_from = earlier.known_to
semi join days on later.known_from = days.as_of_date
where later.person_id <> earlier.person_id
