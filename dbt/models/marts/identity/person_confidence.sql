with people as (
    select
        person_id,
        count(*) as identifier_count
    from {{ ref('person_identifiers') }}
    group by person_id
),

links as (
    select
        person_id,
        exp(sum(spanning_count * ln(greatest(confidence, 1e-9)))) as confidence,
        min(confidence) filter (where spanning_count > 0) as weakest_link_confidence,
        cast(sum(link_count) as bigint) as link_count
    from {{ ref('int_identity_confidence__spanning_links_counted') }}
    group by person_id
),

scored as (
    select
        people.person_id,
        coalesce(links.confidence, 1) as confidence,
        links.weakest_link_confidence,
        people.identifier_count,
        coalesce(links.link_count, 0) as link_count
    from people
    left join links on people.person_id = links.person_id
)

select
    person_id,
    confidence,
    weakest_link_confidence,
    identifier_count,
    link_count,
    case
        when confidence >= 0.99 then 'certain'
        when confidence >= 0.9 then 'likely'
        else 'uncertain'
    end as label -- noqa: RF04
from scored
