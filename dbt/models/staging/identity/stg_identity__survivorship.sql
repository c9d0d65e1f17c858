with survivorship as (
    select * from {{ source('identity', 'survivorship') }}
)

select
    field,
    rule,
    rule_rank,
    source_entity,
    source_rank
from survivorship
