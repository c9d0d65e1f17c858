with customer_days as (
    select * from {{ ref('int_orders__customer_days_aggregated') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

first_purchases as (
    select
        customer_id,
        min(order_date) as first_purchase_date
    from customer_days
    where purchase_count > 0
    group by customer_id
),

history as (
    select min(first_purchase_date) as start_date from first_purchases
),

-- Every 28 days back while 56 days of history lie before. Today's snapshot is there always.
steps as (
    select
        unnest(
            generate_series(0, greatest((as_of.as_of_date - history.start_date - 56) // 28, 0))
        ) as step
    from as_of
    cross join history
),

snapshots as (
    select as_of.as_of_date - cast(28 * steps.step as integer) as as_of_date
    from as_of
    cross join steps
)

select
    first_purchases.customer_id,
    snapshots.as_of_date,
    first_purchases.first_purchase_date
from snapshots
inner join first_purchases on snapshots.as_of_date >= first_purchases.first_purchase_date
