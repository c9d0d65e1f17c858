{{ config(meta={'dagster': {'ref': {'name': 'person_identifiers'}}}) }}
with edges as (
    select * from {{ ref('identifier_edges') }}
    where is_accepted
),

people as (
    select * from {{ ref('person_identifiers') }}
)

select
    edges.pseudonym_a,
    edges.pseudonym_b,
    edges.link_kind
from edges
left join people as end_a on edges.pseudonym_a = end_a.pseudonym
left join people as end_b on edges.pseudonym_b = end_b.pseudonym
where end_a.person_id = end_b.person_id is not true
