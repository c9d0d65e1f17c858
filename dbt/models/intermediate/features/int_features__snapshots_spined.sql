with days as (
    select * from {{ ref('int_features__days_compared') }}
),

people as (
    select distinct
        customer_number,
        customer_id,
        version_from,
        version_to
    from {{ ref('int_features__people_versioned') }}
),

purchase_days as (
    select * from {{ ref('int_features__customer_days_aggregated') }}
    where purchase_count > 0
),

spined as (
    select
        people.customer_number,
        people.customer_id,
        days.as_of_date,
        days.inputs_version,
        days.is_due
    from people
    inner join days
        on
            people.version_from <= days.as_of_date
            and people.version_to > days.as_of_date
)

select
    spined.customer_number,
    spined.customer_id,
    spined.as_of_date,
    spined.inputs_version,
    spined.is_due,
    purchase_days.first_purchase_date,
    purchase_days.order_date as last_purchase_date,
    purchase_days.purchase_day_count,
    purchase_days.squared_gap_days,
    purchase_days.last_event_at
from spined
asof inner join purchase_days
    on
        spined.customer_number = purchase_days.customer_number
        and spined.as_of_date >= purchase_days.order_date
