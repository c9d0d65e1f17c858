with catalogue as (
    select * from {{ ref('int_catalogue__products_unioned') }}
),

lines as (
    select * from {{ ref('int_orders__lines_unioned') }}
),

-- Sold, but in no catalogue: the row carries the id alone, so that no line loses its product.
sold_only as (
    select distinct
        lines.source,
        lines.source_product_id,
        cast(null as varchar) as department,
        cast(null as varchar) as category,
        cast(null as varchar) as product_type,
        cast(null as varchar) as brand,
        cast(null as varchar) as package_size
    from lines
    anti join catalogue
        on
            lines.source = catalogue.source
            and lines.source_product_id = catalogue.source_product_id
    where lines.source_product_id is not null
),

products as (
    select * from catalogue
    union all
    select * from sold_only
)

select
    source || ':' || source_product_id as product_id,
    source,
    source_product_id,
    department,
    category,
    product_type,
    brand,
    package_size
from products
