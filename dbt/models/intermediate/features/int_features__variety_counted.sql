with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

spells as (
    select * from {{ ref('int_features__item_spells_derived') }}
)

select
    snapshots.customer_number,
    snapshots.as_of_date,
    sum(spells.item_count) filter (spells.kind = 'product') as distinct_product_count_90d,
    sum(spells.item_count) filter (spells.kind = 'category') as distinct_category_count_90d,
    sum(spells.item_count) filter (spells.kind = 'department') as distinct_department_count_90d,
    sum(spells.item_count) filter (spells.kind = 'store') as store_count_90d
from snapshots
inner join spells
    on
        snapshots.customer_number = spells.customer_number
        and snapshots.as_of_date >= spells.from_date
        and snapshots.as_of_date < spells.until_date
group by snapshots.customer_number, snapshots.as_of_date
