with types as (
    select * from {{ source('identity', 'types') }}
)

select
    identifier_type,
    tier,
    priority,
    limit_per_person,
    shared_above,
    checks_profile,
    reassigned_after_days
from types
