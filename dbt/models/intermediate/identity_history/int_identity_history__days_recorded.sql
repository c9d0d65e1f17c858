with recorded as (
    select * from {{ ref('person_recorded_days') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

-- Those of this run have no date while it writes them.
days as (
    select recorded.as_of_date
    from recorded
    inner join as_of
        on coalesce(recorded.recorded_date, as_of.as_of_date) = as_of.as_of_date
),

earlier as (
    select max(recorded.as_of_date) as last_date
    from recorded
    where recorded.as_of_date < (select min(days.as_of_date) from days)
)

select
    days.as_of_date,
    coalesce(earlier.last_date + 1, date '-infinity') as open_from_date
from days
cross join earlier
