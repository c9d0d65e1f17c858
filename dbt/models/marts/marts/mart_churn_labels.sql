with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
),

customer_days as (
    select * from {{ ref('int_orders__customer_days_aggregated') }}
),

as_of as (
    select as_of_date as today from {{ ref('stg_run__as_of') }}
),

-- A label that time has not finished writing is no label.
labelled as (
    select
        snapshots.customer_id,
        snapshots.as_of_date,
        snapshots.as_of_date + 28 as label_until_date
    from snapshots
    inner join as_of on snapshots.as_of_date + 28 <= as_of.today
),

purchase_days as (
    select
        customer_id,
        order_date
    from customer_days
    where purchase_count > 0
)

select
    labelled.customer_id,
    labelled.as_of_date,
    labelled.label_until_date,
    count(purchase_days.order_date) = 0 as is_churned
from labelled
left join purchase_days
    on
        labelled.customer_id = purchase_days.customer_id
        and {{ is_within_days('purchase_days.order_date', 28, 'labelled.label_until_date') }}
group by labelled.customer_id, labelled.as_of_date, labelled.label_until_date
