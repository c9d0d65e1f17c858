{{ config(
    materialized='incremental', full_refresh=false, on_schema_change='append_new_columns',
    incremental_strategy='append',
) }}
with people as (
    select
        person_id,
        list(pseudonym order by pseudonym asc) as pseudonyms
    from {{ ref('person_identifiers') }}
    group by person_id
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
)

select
    people.person_id,
    as_of.as_of_date as first_given_date,
    people.pseudonyms
from people
cross join as_of
{% if is_incremental() %}
    anti join {{ this }} as given on people.person_id = given.person_id
{% endif %}
