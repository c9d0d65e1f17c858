with links as (
    select * from {{ ref('int_identity_confidence__links_levelled') }}
),

closed as (
    select * from {{ ref('int_identity_confidence__levels_closed') }}
),

levels as (
    select
        person_id,
        confidence_level,
        confidence,
        count(*) as link_count
    from links
    group by person_id, confidence_level, confidence
),

ends as (
    select
        person_id,
        pseudonym_a as pseudonym
    from links
    union distinct
    select
        person_id,
        pseudonym_b as pseudonym
    from links
),

-- So many links of this level or above are needed to hold together what they hold together.
spans as (
    select
        ends.person_id,
        1 as confidence_level,
        count(*) - 1 as spanning_count
    from ends
    group by ends.person_id
    union all
    select
        ends.person_id,
        levels.confidence_level,
        count(closed.node) - count(distinct closed.component) as spanning_count
    from ends
    inner join levels on ends.person_id = levels.person_id
    inner join closed on levels.confidence_level || ' ' || ends.pseudonym = closed.node
    where levels.confidence_level > 1
    group by ends.person_id, levels.confidence_level
)

select
    levels.person_id,
    levels.confidence,
    levels.link_count,
    spans.spanning_count - coalesce(
        lead(spans.spanning_count) over (
            partition by levels.person_id order by levels.confidence_level
        ),
        0
    ) as spanning_count
from levels
inner join spans
    on
        levels.person_id = spans.person_id
        and levels.confidence_level = spans.confidence_level
