with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

answers as (
    select * from {{ ref('int_surveys__answers_unioned') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

-- Of several answers of a day the last one stands.
answered as (
    select
        people.customer_number,
        {{ business_date('answers.answered_at', 'as_of.business_zone') }} as answered_date,
        max(answers.answered_at) as last_event_at,
        arg_max(answers.nps_score, (answers.answered_at, answers.source_answer_id)) as nps_score
    from answers
    cross join as_of
    inner join people on answers.customer_key = people.customer_key
    group by people.customer_number, answered_date
)

select
    snapshots.customer_number,
    snapshots.as_of_date,
    answered.answered_date,
    answered.last_event_at,
    answered.nps_score
from snapshots
asof inner join answered
    on
        snapshots.customer_number = answered.customer_number
        and snapshots.as_of_date >= answered.answered_date
where {{ is_within_days('answered.answered_date', 365, 'snapshots.as_of_date') }}
