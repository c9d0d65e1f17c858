with blocked as (
    select * from {{ source('identity', 'blocked') }}
)

select
    identifier_type,
    pseudonym,
    reason
from blocked
