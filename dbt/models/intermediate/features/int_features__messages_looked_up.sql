with snapshots as (
    select * from {{ ref('int_features__snapshots_spined') }}
    where is_due
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

messages as (
    select * from {{ ref('int_features__messages_derived') }}
)

-- Counted by the day a message was sent; a response counts from the day on which it came.
select
    snapshots.customer_number,
    snapshots.as_of_date,
    messages.*,
    coalesce(messages.opened_date <= snapshots.as_of_date, false) as is_opened,
    coalesce(messages.clicked_date <= snapshots.as_of_date, false) as is_clicked
from messages
inner join people on messages.customer_key = people.customer_key
inner join snapshots
    on
        people.customer_number = snapshots.customer_number
        and {{ is_within_days('messages.sent_date', 730, 'snapshots.as_of_date') }}
        and {{ is_known_on('messages', 'snapshots.as_of_date') }}
