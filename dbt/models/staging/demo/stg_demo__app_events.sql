with app_events as (
    select * from {{ source('demo', 'app_events') }}
)

-- Who did it is whom the strongest identifier of the event names, ranked as in identity.yml.
select
    'demo' as source,
    'app' as platform,
    cast(event_id as varchar) as source_event_id,
    device_pseudonym as browser_key,
    coalesce(login_pseudonym, device_pseudonym) as customer_key,
    if(login_pseudonym is not null, 'login', 'device') as customer_key_type,
    event_type,
    cast(product_id as varchar) as source_product_id,
    occurred_at,
    _file_id as file_id
from app_events
