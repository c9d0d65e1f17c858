with links as (
    select * from {{ ref('int_identity__links_screened') }}
),

contested as (
    select
        pseudonym,
        'contested_identifier' as reason,
        coalesce(decision_detail, claimant_count || ' claims that contradict') as detail
    from {{ ref('int_identity__contacts_contested') }}
)

select
    links.pseudonym_a,
    links.identifier_type_a,
    links.pseudonym_b,
    links.identifier_type_b,
    links.link_kind,
    links.source,
    links.entity,
    links.record_id,
    links.record_count,
    links.first_seen_at,
    links.last_seen_at,
    coalesce(links.refused_reason, end_a.reason, end_b.reason) as refused_reason,
    if(
        links.refused_reason is null, coalesce(end_a.detail, end_b.detail), links.refused_detail
    ) as refused_detail
from links
left join contested as end_a on links.pseudonym_a = end_a.pseudonym
left join contested as end_b on links.pseudonym_b = end_b.pseudonym
