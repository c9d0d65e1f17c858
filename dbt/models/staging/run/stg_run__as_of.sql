with as_of as (
    select * from {{ source('run', 'as_of') }}
)

select
    as_of_date,
    business_zone,
    currency
from as_of
