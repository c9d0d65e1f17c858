{{ config(materialized='table') }}
with scores as (
    select * from {{ ref('stg_identity__match_scores') }}
),

people as (
    select * from {{ ref('int_identity__people_linked') }}
),

rules as (
    select * from {{ ref('stg_identity__matching') }}
),

rejected as (
    select
        least(end_a.people_group, end_b.people_group) as people_group_a,
        greatest(end_a.people_group, end_b.people_group) as people_group_b,
        arg_min(pairs.detail, pairs.row_number) as detail
    from {{ ref('int_identity__pairs_rejected') }} as pairs
    inner join people as end_a on pairs.pseudonym_a = end_a.pseudonym
    inner join people as end_b on pairs.pseudonym_b = end_b.pseudonym
    group by all
)

select
    scores.pseudonym_a,
    end_a.identifier_type as identifier_type_a,
    scores.pseudonym_b,
    end_b.identifier_type as identifier_type_b,
    end_a.people_group as people_group_a,
    end_b.people_group as people_group_b,
    scores.match_probability,
    scores.match_weight,
    scores.evidence,
    scores.model_run_id,
    scores.as_of_date,
    case
        when rejected.people_group_a is not null then 'rejected'
        when scores.match_probability >= rules.join_above then 'join'
        when scores.match_probability >= rules.suggest_above then 'suggest'
        else 'leave'
    end as verdict,
    rejected.detail as decision_detail
from scores
inner join people as end_a on scores.pseudonym_a = end_a.pseudonym
inner join people as end_b
    on scores.pseudonym_b = end_b.pseudonym and end_a.people_group <> end_b.people_group
cross join rules
left join rejected
    on
        least(end_a.people_group, end_b.people_group) = rejected.people_group_a
        and greatest(end_a.people_group, end_b.people_group) = rejected.people_group_b
