{{ config(materialized='table') }}
with as_of as (
    select
        as_of_date,
        business_zone
    from {{ ref('stg_run__as_of') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
),

history as (
    select * from {{ ref('person_identifier_history') }}
),

spine as (
    select as_of_date from {{ ref('int_features__days_spined') }}
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

-- Who was who on each day before today, as it was known then.
past as (
    select
        history.pseudonym as customer_key,
        history.person_id as customer_id,
        history.known_from,
        -- What still holds goes on; what was found out after today is not known yet.
        case
            when people.pseudonym is null then least(history.known_to, as_of.as_of_date)
        end as known_to
    from history
    inner join as_of on history.known_from < as_of.as_of_date
    left join people
        on
            history.pseudonym = people.pseudonym
            and history.person_id = people.person_id
            and coalesce(history.known_to > as_of.as_of_date, true)
),

known as (
    select * from past
    union all
    select
        people.pseudonym as customer_key,
        people.person_id as customer_id,
        as_of.as_of_date as known_from,
        null as known_to
    from people
    cross join as_of
    anti join past
        on
            people.pseudonym = past.customer_key
            and people.person_id = past.customer_id
            and past.known_to is null
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
),

spells as (
    select
        known.customer_key,
        known.customer_id,
        known.known_from,
        if(reached.as_of_date >= known.known_from, date '0001-01-01', known.known_from)
            as counts_from,
        coalesce(known.known_to, date '9999-12-31') as counts_to
    from known
    left join reached on known.customer_key = reached.customer_key
),

-- A late purchase is missing from the snapshots before it came; after the last of them another
-- version begins, so that what a version adds up to never changes.
late_purchases as (
    select distinct
        customer_key,
        order_date,
        known_from
    from {{ ref('fct_order_lines') }}
    where known_from > order_date and customer_key is not null
),

completed as (
    select
        late_purchases.customer_key,
        spine.as_of_date + 1 as version_from
    from late_purchases
    asof inner join spine on late_purchases.known_from > spine.as_of_date
    where spine.as_of_date >= late_purchases.order_date
),

changes as (
    select
        customer_id,
        counts_from as version_from
    from spells
    union
    select
        customer_id,
        counts_to as version_from
    from spells
    union
    select
        spells.customer_id,
        completed.version_from
    from completed
    inner join spells on completed.customer_key = spells.customer_key
),

versions as (
    select
        customer_id,
        version_from,
        lead(version_from) over (partition by customer_id order by version_from) as version_to
    from changes
)

select
    spells.customer_key,
    versions.customer_id,
    spells.known_from,
    -- A short name for the person and version: text keys would cost twice the time.
    dense_rank() over (order by versions.customer_id, versions.version_from) as customer_number,
    versions.version_from,
    versions.version_to
from versions
inner join spells
    on
        versions.customer_id = spells.customer_id
        and versions.version_from >= spells.counts_from
        and versions.version_from < spells.counts_to
