with matches as (
    select * from {{ ref('int_identity__matches_judged') }}
    where verdict in ('suggest', 'join')
),

people as (
    select * from {{ ref('person_identifiers') }}
)

-- Two that met through a third since they were compared need nobody's opinion; two that were to be
-- joined and are not, since their group was refused, do.
select
    matches.pseudonym_a,
    matches.identifier_type_a,
    matches.pseudonym_b,
    matches.identifier_type_b,
    end_a.person_id as person_id_a,
    end_b.person_id as person_id_b,
    matches.match_probability,
    matches.match_weight,
    matches.evidence,
    matches.model_run_id,
    matches.as_of_date
from matches
inner join people as end_a on matches.pseudonym_a = end_a.pseudonym
inner join people as end_b
    on matches.pseudonym_b = end_b.pseudonym and end_a.person_id <> end_b.person_id
