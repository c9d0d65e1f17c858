with products as (
    select * from {{ source('demo', 'products') }}
)

select
    'demo' as source,
    cast(product_id as varchar) as source_product_id,
    department,
    category,
    product_type,
    brand
from products
