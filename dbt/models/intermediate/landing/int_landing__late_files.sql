with arrivals as (
    select * from {{ ref('file_arrivals') }}
    where landed_until_date is not null
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
)

select
    arrivals.source,
    arrivals.file_id,
    arrivals.landed_until_date,
    -- The report of an older day than the file's sees what the warehouse holds.
    least(arrivals.arrived_date, as_of.as_of_date) as arrived_date
from arrivals
cross join as_of
