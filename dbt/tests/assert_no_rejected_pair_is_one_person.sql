{{ config(meta={'dagster': {'ref': {'name': 'person_identifiers'}}}) }}
with pairs as (
    select * from {{ ref('int_identity__pairs_rejected') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
)

select pairs.row_number
from pairs
inner join people as end_a on pairs.pseudonym_a = end_a.pseudonym
inner join people as end_b on pairs.pseudonym_b = end_b.pseudonym
where end_a.person_id = end_b.person_id
