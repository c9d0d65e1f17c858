with recorded as (
    select * from {{ ref('person_recorded_days') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
)

select recorded.as_of_date
from recorded
inner join as_of on recorded.recorded_date = as_of.as_of_date
