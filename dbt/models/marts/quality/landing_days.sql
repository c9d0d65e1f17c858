{{ config(
    materialized='incremental', full_refresh=false, on_schema_change='fail',
    incremental_strategy='append',
) }}
with as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
)

-- No row for a day before the newest: later days were built on what was there on them.
select as_of_date
from as_of
{% if is_incremental() %}
    where as_of_date > (select max(held.as_of_date) from {{ this }} as held)
{% endif %}
