with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

answers as (
    select * from {{ ref('int_surveys__answers_unioned') }}
)

select
    snapshots.customer_number,
    snapshots.as_of_date,
    max(answers.answered_date) as answered_date,
    max(answers.answered_at) as last_event_at,
    arg_max(answers.nps_score, (answers.answered_at, answers.source_answer_id)) as nps_score
from answers
inner join people on answers.customer_key = people.customer_key
inner join snapshots
    on
        people.customer_number = snapshots.customer_number
        and {{ is_within_days('answers.answered_date', 365, 'snapshots.as_of_date') }}
        and answers.known_from <= snapshots.as_of_date
group by snapshots.customer_number, snapshots.as_of_date
