with as_of as (
    select as_of_date as today from {{ ref('stg_run__as_of') }}
),

spined as (
    select * from {{ ref('int_features__snapshots_spined') }}
),

followed as (
    select * from {{ ref('int_features__customers_followed') }}
    where horizon_days = 28
),

-- Half a year of snapshots: enough to learn from, and no more rows than that.
snapshots as (
    select spined.*
    from spined
    inner join as_of on spined.as_of_date > as_of.today - 196
),

department_days as (
    select * from {{ ref('int_features__item_days_aggregated') }}
    where kind = 'department'
),

past as (
    select
        snapshots.customer_id,
        snapshots.as_of_date,
        department_days.item as department,
        count(*) as purchase_day_count_90d,
        sum(department_days.net_amount) as spend_amount_90d,
        max(department_days.order_date) as last_purchase_date
    from snapshots
    inner join department_days
        on
            snapshots.customer_number = department_days.customer_number
            and {{ is_within_days('department_days.order_date', 90, 'snapshots.as_of_date') }}
            and department_days.net_amount is not null
    group by snapshots.customer_id, snapshots.as_of_date, department_days.item
),

future as (
    select distinct
        followed.customer_id,
        followed.as_of_date,
        department_days.item as department
    from followed
    inner join as_of on followed.as_of_date > as_of.today - 196
    inner join department_days
        on
            followed.later_number = department_days.customer_number
            and followed.as_of_date < department_days.order_date
            and followed.label_until_date >= department_days.order_date
)

select
    customer_id,
    as_of_date,
    department,
    coalesce(past.purchase_day_count_90d, 0) as purchase_day_count_90d,
    cast(coalesce(past.spend_amount_90d, 0) as double) as spend_amount_90d,
    coalesce(
        past.spend_amount_90d / sum(past.spend_amount_90d) over (
            partition by customer_id, as_of_date
        ),
        0
    ) as spend_share_90d,
    as_of_date - past.last_purchase_date as recency_days,
    if(as_of_date + 28 <= as_of.today, future.department is not null, null) as is_bought
from past
full join future using (customer_id, as_of_date, department)
cross join as_of
