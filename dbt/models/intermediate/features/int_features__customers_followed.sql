with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

as_of as (
    select as_of_date as today from {{ ref('stg_run__as_of') }}
),

horizons as (
    select unnest({{ label_horizons() }}) as horizon_days
),

-- A label that time has not finished writing is no label.
finished as (
    select
        snapshots.customer_number,
        snapshots.customer_id,
        snapshots.as_of_date,
        horizons.horizon_days,
        snapshots.as_of_date + horizons.horizon_days as label_until_date
    from snapshots
    cross join horizons
    inner join as_of on snapshots.as_of_date + horizons.horizon_days <= as_of.today
)

select distinct
    finished.customer_id,
    finished.as_of_date,
    finished.horizon_days,
    finished.label_until_date,
    later.customer_number as later_number
from finished
inner join people as earlier on finished.customer_number = earlier.customer_number
left join people as later
    on
        earlier.customer_key = later.customer_key
        and finished.label_until_date >= later.version_from
        and finished.label_until_date < later.version_to
