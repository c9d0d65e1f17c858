with unioned as (
    {{ union_by_name([
        ref('stg_demo__identifier_sightings'),
    ]) }}
)

select
    source,
    entity,
    record_id,
    record_count,
    first_seen_at,
    last_seen_at,
    customer_id,
    login,
    loyalty_card,
    email,
    phone,
    device,
    cookie
from unioned
