{{ config(
    materialized='incremental', full_refresh=false, on_schema_change='fail',
    incremental_strategy='delete+insert', unique_key='as_of_date',
) }}
with as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

identifiers as (
    select * from {{ ref('person_identifiers') }}
),

kept as (
    {{ rows_so_far({'as_of_date': 'date', 'recorded_date': 'date'}) }}
),

recorded as (
    select
        max(as_of_date) as newest_date,
        min(recorded_date) as first_recorded_date
    from kept
),

-- No row for a day before the newest: later days were built on what was recorded for them.
runs as (
    select
        as_of.as_of_date,
        as_of.business_zone,
        coalesce(recorded.first_recorded_date, as_of.as_of_date) = as_of.as_of_date as is_first
    from as_of
    cross join recorded
    where as_of.as_of_date >= coalesce(recorded.newest_date, as_of.as_of_date)
),

starts as (
    select min({{ business_date('identifiers.first_seen_at', 'runs.business_zone') }}) as start_date
    from identifiers
    cross join runs
),

-- The first run also records the days of the training snapshots, every 28 days back.
steps as (
    select
        runs.as_of_date,
        unnest(
            generate_series(
                0,
                case
                    when runs.is_first
                        then greatest((runs.as_of_date - starts.start_date) // 28, 0)
                    else 0
                end
            )
        ) as step
    from runs
    cross join starts
)

select
    as_of_date - cast(28 * step as integer) as as_of_date,
    as_of_date as recorded_date
from steps
