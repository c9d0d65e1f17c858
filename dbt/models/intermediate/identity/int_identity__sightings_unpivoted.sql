{{ config(materialized='table') }}
with sightings as (
    select * from {{ ref('int_identity__sightings_unioned') }}
)

select
    source,
    entity,
    record_id,
    record_count,
    first_seen_at,
    last_seen_at,
    identifier_type,
    pseudonym
from sightings
unpivot (
    pseudonym for identifier_type
    in (customer_id, login, loyalty_card, email, phone, device, cookie)
)
