{{ config(materialized='table') }}
with edges as (
    select * from {{ ref('identifier_edges') }}
    where is_accepted
),

people as (
    select * from {{ ref('person_identifiers') }}
),

-- Cookies and devices make nobody, so they do not make anybody doubtful; where a person is nothing
-- else, they are all there is to go by.
makers as (
    select
        pseudonym,
        person_id
    from people
    qualify
        tier <> 'weak'
        or bool_and(tier = 'weak') over (partition by person_id)
)

select
    end_a.person_id,
    edges.pseudonym_a,
    edges.pseudonym_b,
    edges.confidence,
    dense_rank() over (
        partition by end_a.person_id order by edges.confidence asc
    ) as confidence_level
from edges
inner join makers as end_a on edges.pseudonym_a = end_a.pseudonym
inner join makers as end_b on edges.pseudonym_b = end_b.pseudonym
