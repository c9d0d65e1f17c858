with links as (
    select
        *,
        case link_kind
            when 'naming_naming' then 'naming'
            when 'naming_joining' then 'contact'
            when 'joining_joining' then 'chain'
        end as rung
    from {{ ref('int_identity__links_cleared') }}
    union all by name
    select * from {{ ref('int_identity__links_agreed') }}
    union all by name
    select * from {{ ref('int_identity__links_matched') }}
),

people as (
    select * from {{ ref('int_identity__people_joined') }}
),

fallen as (
    select
        rungs.rung,
        rungs.pseudonym,
        judged.reason,
        judged.reason_detail
    from {{ ref('int_identity__rungs_judged') }} as judged
    inner join {{ ref('int_identity__rungs_listed') }} as rungs
        on judged.rung = rungs.rung and judged.people_group = rungs.people_group
),

parted as (
    select * from {{ ref('int_identity__links_parted') }}
),

unattached as (
    select * from {{ ref('int_identity__weak_attached') }}
    where refused_reason is not null
)

-- A link that passed every guard by itself and yet joins nobody fell with its group.
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
    links.match_probability,
    -- What belongs to nobody has no group; a contested contact may have found one in the end.
    coalesce(
        coalesce(links.refused_reason, 'contested_identifier') = 'contested_identifier'
        and end_a.people_group = end_b.people_group,
        false
    ) as is_accepted,
    coalesce(
        links.refused_reason,
        if(parted.rung is not null, 'rejected_by_decision', null),
        fallen.reason,
        weak_b.refused_reason,
        weak_a.refused_reason
    ) as refused_reason,
    case
        when links.refused_reason is not null then links.refused_detail
        when parted.rung is not null then parted.detail
        when fallen.reason is not null then fallen.reason_detail
        when weak_b.refused_reason is not null then weak_b.refused_detail
        else weak_a.refused_detail
    end as refused_detail
from links
left join people as end_a on links.pseudonym_a = end_a.pseudonym
left join people as end_b on links.pseudonym_b = end_b.pseudonym
left join fallen on links.pseudonym_a = fallen.pseudonym and links.rung = fallen.rung
left join parted
    on
        links.pseudonym_a = parted.pseudonym_a
        and links.pseudonym_b = parted.pseudonym_b
        and links.rung = parted.rung
left join unattached as weak_b on links.pseudonym_b = weak_b.pseudonym
left join unattached as weak_a on links.pseudonym_a = weak_a.pseudonym
