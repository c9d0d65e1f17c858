{#- The days of this run are recorded anew, should an earlier run have recorded them, and what one
    wrote that stopped goes. Until merge_history is made as well, today is not recorded. -#}
{{ config(
    materialized='incremental', full_refresh=false, on_schema_change='fail',
    incremental_strategy='delete+insert', unique_key=['pseudonym', 'known_from'],
    pre_hook=[
        "{% if is_incremental() %}delete from {{ this }} where known_from >= (select "
        ~ "min(open_from_date) from {{ ref('int_identity_history__days_recorded') }}){% endif %}",
        "update {{ ref('person_recorded_days') }} set recorded_date = null where as_of_date = "
        ~ "(select max(as_of_date) from {{ ref('int_identity_history__days_recorded') }})",
    ],
) }}
with people as (
    select * from {{ ref('int_identity_history__people_dated') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

days as (
    select min(open_from_date) as open_from_date
    from {{ ref('int_identity_history__days_recorded') }}
),

kept as (
    {{ rows_so_far({
        'pseudonym': 'varchar', 'person_id': 'varchar', 'known_from': 'date', 'known_to': 'date',
    }) }}
),

-- What was in force after the last day that was recorded.
before as (
    select kept.*
    from kept
    inner join days on kept.known_from < days.open_from_date
    where coalesce(kept.known_to >= days.open_from_date, true)
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
    union all
    select
        people.pseudonym,
        people.as_of_date,
        people.person_id
    from people
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
    select stated.*
    from stated
    anti join settled on stated.pseudonym = settled.pseudonym
    qualify
        stated.person_id is distinct from
        lag(stated.person_id) over (partition by stated.pseudonym order by stated.as_of_date)
)

select
    pseudonym,
    person_id,
    as_of_date as known_from,
    lead(as_of_date) over (partition by pseudonym order by as_of_date) as known_to
from changed
qualify person_id is not null
