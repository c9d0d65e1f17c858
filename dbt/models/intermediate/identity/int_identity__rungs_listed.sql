with identifiers as (
    select * from {{ ref('int_identity__identifiers_grouped') }}
)

-- A rung's people, and in `part` the people of the rung below that it joins.
select
    'naming' as rung,
    naming_group as people_group,
    pseudonym as part,
    pseudonym,
    identifier_type,
    tier
from identifiers
union all
select
    'pairing' as rung,
    pairing_group as people_group,
    naming_group as part,
    pseudonym,
    identifier_type,
    tier
from identifiers
union all
select
    'contact' as rung,
    contact_group as people_group,
    pairing_group as part,
    pseudonym,
    identifier_type,
    tier
from identifiers
union all
select
    'chain' as rung,
    chain_group as people_group,
    contact_group as part,
    pseudonym,
    identifier_type,
    tier
from identifiers
