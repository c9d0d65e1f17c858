with unioned as (
    {{ union_by_name([
        ref('stg_demo__stores'),
    ]) }}
)

select
    source,
    source_store_id,
    region
from unioned
