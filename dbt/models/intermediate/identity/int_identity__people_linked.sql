{{ config(materialized='table') }}
with rungs as (
    select * from {{ ref('int_identity__rungs_listed') }}
),

fallen as (
    select
        rung,
        people_group
    from {{ ref('int_identity__rungs_judged') }}
),

standing as (
    select
        rungs.*,
        list_position(['naming', 'pairing', 'contact', 'chain'], rungs.rung) as rung_rank
    from rungs
    left join fallen
        on rungs.rung = fallen.rung and rungs.people_group = fallen.people_group
    where fallen.people_group is null
),

highest as (
    select
        pseudonym,
        arg_max(people_group, rung_rank) as people_group,
        arg_max(rung, rung_rank) as rung
    from standing
    group by pseudonym
)

select
    rungs.pseudonym,
    rungs.identifier_type,
    coalesce(highest.people_group, rungs.pseudonym) as people_group,
    coalesce(highest.rung, 'alone') as rung
from rungs
left join highest on rungs.pseudonym = highest.pseudonym
where rungs.rung = 'naming'
