with links as (
    select * from {{ ref('int_identity__links_seen') }}
),

-- Few rows on the build side of each join: the links are only streamed past them.
refused as (
    select
        pseudonym,
        refused_reason,
        refused_detail
    from {{ ref('int_identity__identifiers_judged') }}
    where refused_reason is not null
),

rejected as (
    select
        *,
        'rejected_by_decision' as reason
    from {{ ref('int_identity__pairs_rejected') }}
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
    coalesce(end_a.refused_reason, end_b.refused_reason, rejected.reason) as refused_reason,
    case
        when end_a.refused_reason is not null then end_a.refused_detail
        when end_b.refused_reason is not null then end_b.refused_detail
        else rejected.detail
    end as refused_detail
from links
left join refused as end_a on links.pseudonym_a = end_a.pseudonym
left join refused as end_b on links.pseudonym_b = end_b.pseudonym
left join rejected
    on
        least(links.pseudonym_a, links.pseudonym_b) = rejected.pseudonym_a
        and greatest(links.pseudonym_a, links.pseudonym_b) = rejected.pseudonym_b
