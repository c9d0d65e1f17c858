{{ config(materialized='table') }}
with rungs as (
    select * from {{ ref('int_identity__rungs_listed') }}
),

limits as (
    select
        identifier_type,
        limit_per_person
    from {{ ref('stg_identity__types') }}
    where limit_per_person > 0
),

over_limit as (
    select
        rungs.rung,
        rungs.people_group,
        'over_limit' as reason,
        count(*) || ' × ' || rungs.identifier_type as reason_detail
    from rungs
    inner join limits on rungs.identifier_type = limits.identifier_type
    group by rungs.rung, rungs.people_group, rungs.identifier_type, limits.limit_per_person
    having count(*) > limits.limit_per_person
),

reasons as (
    select * from over_limit
    union all by name
    select
        *,
        'contradiction' as reason
    from {{ ref('int_identity__rungs_contradicted') }}
)

select
    rung,
    people_group,
    min(reason) as reason,
    arg_min(reason_detail, (reason, reason_detail)) as reason_detail
from reasons
group by rung, people_group
