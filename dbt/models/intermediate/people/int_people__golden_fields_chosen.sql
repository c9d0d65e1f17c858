with candidates as (
    select * from {{ ref('int_people__golden_candidates_counted') }}
),

survivorship as (
    select * from {{ ref('stg_identity__survivorship') }}
),

rules as (
    select distinct
        field,
        rule,
        rule_rank
    from survivorship
),

-- What each rule of the field makes of each candidate: the more, the better.
scored as (
    select
        candidates.*,
        rules.rule_rank,
        case rules.rule
            when 'verified' then cast(candidates.is_verified as bigint)
            when 'source_order' then -survivorship.source_rank
            when 'most_recent' then epoch_us(candidates.seen_at)
            when 'most_frequent' then candidates.record_count
        end as score
    from candidates
    left join rules on candidates.field = rules.field
    left join survivorship
        on
            rules.rule = 'source_order'
            and candidates.field = survivorship.field
            and rules.rule = survivorship.rule
            and candidates.entity = survivorship.source_entity
),

-- The first rule decides, the second where the first leaves a tie, and so on: a list is ordered
-- by its first element that differs.
ranked as (
    select
        person_id,
        field,
        pseudonym,
        entity,
        seen_at,
        list(coalesce(score, -9223372036854775807) order by rule_rank asc) as scores
    from scored
    group by person_id, field, pseudonym, entity, seen_at
)

select
    person_id,
    field,
    pseudonym,
    entity as source
from ranked
qualify row_number() over (
    partition by person_id, field
    order by scores desc, seen_at desc nulls last, entity asc, pseudonym asc
) = 1
