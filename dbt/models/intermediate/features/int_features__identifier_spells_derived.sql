with as_of as (
    select
        as_of_date,
        business_zone
    from {{ ref('stg_run__as_of') }}
),

spine as (
    select as_of_date from {{ ref('int_features__days_spined') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
),

known as (
    select * from {{ ref('int_features__identifiers_known') }}
),

horizons as (
    select unnest({{ label_horizons() }}) as horizon_days
),

-- The days on which somebody asks who is who: those of the snapshots, and the ends of their labels.
days as (
    select as_of_date from spine
    union
    select spine.as_of_date + horizons.horizon_days as as_of_date
    from spine
    cross join horizons
    inner join as_of on spine.as_of_date + horizons.horizon_days <= as_of.as_of_date
),

-- Where none of them lies between the first sight of an identifier and the day it is known from,
-- that day decides nothing, and the person's identifiers need no version of their own for it.
seen as (
    select
        people.pseudonym as customer_key,
        {{ business_date('people.first_seen_at', 'as_of.business_zone') }} as first_seen_date
    from people
    cross join as_of
    where people.first_seen_at is not null
),

reached as (
    select
        seen.customer_key,
        days.as_of_date
    from seen
    asof inner join days on seen.first_seen_date <= days.as_of_date
)

select
    known.customer_key,
    known.customer_id,
    known.known_from,
    if(reached.as_of_date >= known.known_from, date '0001-01-01', known.known_from)
        as counts_from,
    coalesce(known.known_to, date '9999-12-31') as counts_to
from known
left join reached on known.customer_key = reached.customer_key
