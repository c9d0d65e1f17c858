{{ config(meta={'dagster': {'ref': {'name': 'person_identifiers'}}}) }}
with people as (
    select * from {{ ref('person_identifiers') }}
),

rules as (
    select * from {{ ref('stg_identity__types') }}
    where limit_per_person > 0
)

select
    people.person_id,
    people.identifier_type
from people
inner join rules on people.identifier_type = rules.identifier_type
group by people.person_id, people.identifier_type, rules.limit_per_person
having count(*) > rules.limit_per_person
