with unioned as (
    {{ union_by_name([
        ref('stg_complete_journey__products'),
        ref('stg_demo__products'),
    ]) }}
)

select
    source,
    source_product_id,
    department,
    category,
    product_type,
    brand,
    package_size
from unioned
