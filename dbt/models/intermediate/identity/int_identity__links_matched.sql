with people as (
    select * from {{ ref('int_identity__people_linked') }}
),

match_groups as (
    select * from {{ ref('int_identity__match_groups_connected') }}
),

refused as (
    select * from {{ ref('int_identity__matches_refused') }}
),

parted as (
    select
        parted.pseudonym_a,
        parted.pseudonym_b,
        'rejected_by_decision' as reason,
        pairs.detail
    from {{ ref('int_identity__match_links_parted') }} as parted
    inner join {{ ref('int_identity__pairs_rejected') }} as pairs
        on parted.row_number = pairs.row_number
),

matched as (
    select
        pseudonym_a,
        identifier_type_a,
        pseudonym_b,
        identifier_type_b,
        people_group_a,
        people_group_b,
        'match' as link_kind,
        1 as record_count,
        match_probability,
        if(verdict = 'rejected', 'rejected_by_decision', null) as refused_reason,
        decision_detail
    from {{ ref('int_identity__matches_judged') }}
    where verdict in ('join', 'rejected')
),

corroborated as (
    select
        corroborated.people_group as pseudonym_a,
        end_a.identifier_type as identifier_type_a,
        corroborated.agreed_group as pseudonym_b,
        end_b.identifier_type as identifier_type_b,
        corroborated.people_group as people_group_a,
        corroborated.agreed_group as people_group_b,
        'corroborated' as link_kind,
        corroborated.weak_count as record_count,
        corroborated.first_seen_at
    from {{ ref('int_identity__people_corroborated') }} as corroborated
    inner join people as end_a on corroborated.people_group = end_a.pseudonym
    inner join people as end_b on corroborated.agreed_group = end_b.pseudonym
),

links as (
    select * from matched
    union all by name
    select * from corroborated
)

select
    links.pseudonym_a,
    links.identifier_type_a,
    links.pseudonym_b,
    links.identifier_type_b,
    links.link_kind,
    links.record_count,
    links.first_seen_at,
    links.match_probability,
    coalesce(links.refused_reason, parted.reason, refused.reason) as refused_reason,
    coalesce(links.decision_detail, parted.detail, refused.reason_detail) as refused_detail
from links
left join parted
    on links.people_group_a = parted.pseudonym_a and links.people_group_b = parted.pseudonym_b
left join match_groups on links.people_group_a = match_groups.node
left join refused on match_groups.component = refused.match_group
