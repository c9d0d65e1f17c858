{#- A day is recorded when its people and who moved are written: the date of today is taken away
    with its history and given with its merges. A day left without one is of a run that stopped
    before its end; the next run has it no more. -#}
{{ config(
    materialized='incremental', full_refresh=false, on_schema_change='fail',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}"
        ~ "alter table {{ this }} alter recorded_date drop not null; "
        ~ "delete from {{ this }} where recorded_date is null{% endif %}",
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
),

days as (
    select as_of_date - cast(28 * step as integer) as as_of_date
    from steps
)

select
    days.as_of_date,
    cast(null as date) as recorded_date
from days
anti join kept on days.as_of_date = kept.as_of_date
