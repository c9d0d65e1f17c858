{{ config(materialized='table') }}
with people as (
    select * from {{ ref('int_identity__people_matched') }}
),

attached as (
    select * from {{ ref('int_identity__contacts_attached') }}
)

select
    people.pseudonym,
    people.identifier_type,
    coalesce(attached.people_group, people.people_group) as people_group
from people
left join attached on people.pseudonym = attached.pseudonym
union all
select
    pseudonym,
    identifier_type,
    people_group
from {{ ref('int_identity__weak_attached') }}
