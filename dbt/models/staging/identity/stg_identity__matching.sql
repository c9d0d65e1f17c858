with matching as (
    select * from {{ source('identity', 'matching') }}
)

select
    join_above,
    suggest_above,
    largest_join
from matching
