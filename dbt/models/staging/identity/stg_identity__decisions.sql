with decisions as (
    select * from {{ source('identity', 'decisions') }}
),

-- A pair is the same in either direction.
paired as (
    select
        least(pseudonym_a, pseudonym_b) as pseudonym_a,
        greatest(pseudonym_a, pseudonym_b) as pseudonym_b,
        decision,
        decided_by,
        decided_at,
        note,
        row_number
    from decisions
)

select
    pseudonym_a,
    pseudonym_b,
    decision,
    decided_by,
    decided_at,
    note,
    row_number
from paired
qualify row_number() over (
    partition by pseudonym_a, pseudonym_b
    order by decided_at desc, row_number desc
) = 1
