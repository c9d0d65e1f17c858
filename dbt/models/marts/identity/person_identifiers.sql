with identifiers_seen as (
    select * from {{ ref('int_identity__identifiers_seen') }}
)

-- One person per identifier, until identifiers are linked: then this model changes alone.
select
    identifier_type,
    pseudonym,
    left(sha256('person:' || pseudonym), 32) as person_id,
    min(source) as source,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at,
    cast(1.0 as double) as confidence
from identifiers_seen
group by identifier_type, pseudonym
