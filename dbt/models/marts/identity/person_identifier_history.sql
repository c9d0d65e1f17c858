{{ config(
    materialized='incremental', full_refresh=false, on_schema_change='fail',
    incremental_strategy='delete+insert', unique_key=['pseudonym', 'known_from'],
    post_hook='delete from {{ this }} where known_to <= known_from',
) }}
with people as (
    select * from {{ ref('int_identity_history__people_dated') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

days as (
    select min(as_of_date) as first_date from {{ ref('int_identity_history__days_recorded') }}
),

kept as (
    {% if is_incremental() %}
        select * from {{ this }}
    {% else %}
        select
            cast(null as varchar) as pseudonym,
            cast(null as varchar) as person_id,
            cast(null as date) as known_from,
            cast(null as date) as known_to
        where false
    {% endif %}
),

-- What was in force before the days of this run. Run again, they are recorded anew.
before as (
    select kept.*
    from kept
    cross join days
    where
        kept.known_from < days.first_date
        and coalesce(kept.known_to >= days.first_date, true)
),

settled as (
    select before.pseudonym
    from before
    semi join people
        on before.pseudonym = people.pseudonym and before.person_id = people.person_id
    where before.known_to is null
),

stated as (
    select
        before.pseudonym,
        before.known_from as as_of_date,
        before.person_id
    from before
    anti join settled on before.pseudonym = settled.pseudonym
    union all
    select
        people.pseudonym,
        people.as_of_date,
        people.person_id
    from people
    anti join settled on people.pseudonym = settled.pseudonym
    union all
    -- Gone from the data: from today on it belongs to nobody.
    select
        before.pseudonym,
        as_of.as_of_date,
        null as person_id
    from before
    cross join as_of
    anti join people on before.pseudonym = people.pseudonym
),

changed as (
    select *
    from stated
    qualify
        person_id is distinct from
        lag(person_id) over (partition by pseudonym order by as_of_date)
),

intervals as (
    select
        pseudonym,
        person_id,
        as_of_date as known_from,
        lead(as_of_date) over (partition by pseudonym order by as_of_date) as known_to
    from changed
    qualify person_id is not null
),

-- Recorded by an earlier run of the same day, and no longer so: closed as never in force.
obsolete as (
    select
        kept.pseudonym,
        kept.person_id,
        kept.known_from,
        kept.known_from as known_to
    from kept
    cross join days
    anti join intervals
        on kept.pseudonym = intervals.pseudonym and kept.known_from = intervals.known_from
    where kept.known_from >= days.first_date
)

select
    pseudonym,
    person_id,
    known_from,
    known_to
from intervals
union all
select
    pseudonym,
    person_id,
    known_from,
    known_to
from obsolete
