with match_scores as (
    select * from {{ source('identity_matching', 'match_scores') }}
)

-- A model may name a pair both ways round: the higher score is kept.
select
    least(pseudonym_a, pseudonym_b) as pseudonym_a,
    greatest(pseudonym_a, pseudonym_b) as pseudonym_b,
    match_probability,
    match_weight,
    evidence,
    model_run_id,
    as_of_date
from match_scores
where pseudonym_a <> pseudonym_b
qualify row_number() over (
    partition by least(pseudonym_a, pseudonym_b), greatest(pseudonym_a, pseudonym_b)
    order by match_probability desc, match_weight desc, evidence asc
) = 1
