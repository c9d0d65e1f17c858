with stores as (
    select * from {{ ref('int_catalogue__stores_unioned') }}
)

select
    source || ':' || source_store_id as store_id,
    source,
    source_store_id,
    region
from stores
