with products as (
    select * from {{ source('complete_journey', 'products') }}
)

select
    'complete_journey' as source,
    cast(product_id as varchar) as source_product_id,
    department,
    product_category as category,
    product_type,
    brand,
    package_size
from products
