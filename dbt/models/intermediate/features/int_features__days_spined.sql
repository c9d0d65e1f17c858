with as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

recorded as (
    select as_of_date from {{ ref('person_recorded_days') }}
),

orders as (
    select * from {{ ref('int_orders__orders_aggregated') }}
),

history as (
    select
        as_of.as_of_date as today,
        min(orders.known_from) as start_date
    from as_of
    left join orders
        on
            as_of.as_of_date >= orders.known_from
            and orders.customer_key is not null
            and {{ is_purchase('orders') }}
    group by as_of.as_of_date
),

-- Counted from the first day ever recorded, so that the days of yesterday's run are today's too.
anchors as (
    select
        history.today,
        history.start_date,
        (history.today - coalesce(min(recorded.as_of_date), history.today)) % 28 as days_since_step
    from history
    left join recorded on history.today >= recorded.as_of_date
    group by history.today, history.start_date
),

-- Every 28 days back while 56 days of history lie before.
steps as (
    select
        today - cast(days_since_step + 28 * unnest(
            generate_series(0, (today - start_date - days_since_step - 56) // 28)
        ) as integer) as as_of_date
    from anchors
)

select as_of_date
from steps
union
-- Today's snapshot is there always.
select as_of_date
from as_of
