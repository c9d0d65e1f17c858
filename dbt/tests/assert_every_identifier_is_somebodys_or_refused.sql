{{ config(meta={'dagster': {'ref': {'name': 'person_identifiers'}}}) }}
with identifiers as (
    select * from {{ ref('int_identity__identifiers_judged') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
)

-- That nobody has two rows is the table's own test.
select identifiers.pseudonym
from identifiers
left join people on identifiers.pseudonym = people.pseudonym
where (identifiers.refused_reason is null) <> (people.pseudonym is not null)
