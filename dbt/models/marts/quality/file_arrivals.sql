{{ config(
    materialized='incremental', full_refresh=false, on_schema_change='fail',
    incremental_strategy='append',
) }}
with files as (
    select * from {{ ref('stg_quality__loaded_files') }}
),

days as (
    select as_of_date from {{ ref('landing_days') }}
),

-- What comes with a back-dated run was not known on the days after, either: the newest day counts.
arrivals as (
    select
        max(as_of_date) as arrived_date,
        max(as_of_date, 2)[2] as landed_until_date
    from days
)

select
    files.source,
    files.file_id,
    arrivals.arrived_date,
    {% if is_incremental() %}
        arrivals.landed_until_date
    {% else %}
        -- The first files: nobody noted on which day the rows in them came to be known.
        cast(null as date) as landed_until_date
    {% endif %}
from files
cross join arrivals
{% if is_incremental() %}
    anti join {{ this }} as held
        on files.source = held.source and files.file_id = held.file_id
{% endif %}
