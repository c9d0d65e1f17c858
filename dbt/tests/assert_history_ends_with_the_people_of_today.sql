{{ config(meta={'dagster': {'ref': {'name': 'person_identifier_history'}}}) }}
-- Not on a back-dated day, nor where evidence from after today is in the data: the history leaves
-- that out, and the people of today do not.
with people as (
    select * from {{ ref('person_identifiers') }}
),

last_rows as (
    select * from {{ ref('person_identifier_history') }}
    where known_to is null
),

later_evidence as (
    select pseudonym from {{ ref('int_identity_history__identifiers_dated') }}
    where known_date is null
    union all
    select pseudonym_a from {{ ref('int_identity_history__links_dated') }}
    where known_date is null
)

select coalesce(people.pseudonym, last_rows.pseudonym) as pseudonym
from people
full join last_rows on people.pseudonym = last_rows.pseudonym
where
    people.person_id is distinct from last_rows.person_id
    and (select count(*) from later_evidence) = 0
