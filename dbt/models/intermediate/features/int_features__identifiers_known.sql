with as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
),

history as (
    select * from {{ ref('person_identifier_history') }}
),

-- Who was who on each day before today, as it was known then.
past as (
    select
        history.pseudonym as customer_key,
        history.person_id as customer_id,
        history.known_from,
        -- What still holds goes on; what was found out after today is not known yet.
        case
            when people.pseudonym is null then least(history.known_to, as_of.as_of_date)
        end as known_to
    from history
    inner join as_of on history.known_from < as_of.as_of_date
    left join people
        on
            history.pseudonym = people.pseudonym
            and history.person_id = people.person_id
            and coalesce(history.known_to > as_of.as_of_date, true)
)

select * from past
union all
select
    people.pseudonym as customer_key,
    people.person_id as customer_id,
    as_of.as_of_date as known_from,
    null as known_to
from people
cross join as_of
anti join past
    on
        people.pseudonym = past.customer_key
        and people.person_id = past.customer_id
        and past.known_to is null
