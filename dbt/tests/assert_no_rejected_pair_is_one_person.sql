{{ config(meta={'dagster': {'ref': {'name': 'person_identifiers'}}}) }}
with decisions as (
    select * from {{ ref('int_identity__decisions_judged') }}
    where decision = 'reject' and refused_reason is null
),

people as (
    select * from {{ ref('person_identifiers') }}
)

select decisions.row_number
from decisions
inner join people as end_a on decisions.pseudonym_a = end_a.pseudonym
inner join people as end_b on decisions.pseudonym_b = end_b.pseudonym
where end_a.person_id = end_b.person_id
