with unioned as (
    {{ union_by_name([
        ref('stg_demo__profiles'),
    ]) }}
)

select
    source,
    entity,
    record_id,
    customer_key,
    customer_key_type,
    seen_at,
    is_verified,
    name,
    given_name,
    surname,
    birth_date,
    address,
    postcode,
    city,
    company,
    email,
    phone
from unioned
