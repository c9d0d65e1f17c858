with stores as (
    select * from {{ source('demo', 'stores') }}
)

select
    'demo' as source,
    cast(store_id as varchar) as source_store_id,
    region
from stores
