with identifiers as (
    select * from {{ ref('int_identity__identifiers_judged') }}
    where tier = 'weak' and refused_reason is null
),

weak_groups as (
    select * from {{ ref('int_identity__weak_groups_connected') }}
),

touches as (
    select distinct
        links.pseudonym_b as pseudonym,
        people.people_group
    from {{ ref('int_identity__links_cleared') }} as links
    inner join {{ ref('int_identity__people_matched') }} as people
        on links.pseudonym_a = people.pseudonym
    where links.link_kind in ('naming_weak', 'joining_weak') and links.refused_reason is null
),

touched as (
    select
        pseudonym,
        count(*) as person_count,
        min(people_group) as people_group
    from touches
    group by pseudonym
),

touched_groups as (
    select
        weak_groups.component,
        count(distinct touches.people_group) as person_count,
        min(touches.people_group) as people_group
    from weak_groups
    inner join touches on weak_groups.node = touches.pseudonym
    group by weak_groups.component
)

-- A chain of weak identifiers belongs to the one person who touches it; where several do, each of
-- its identifiers is judged alone.
select
    identifiers.pseudonym,
    identifiers.identifier_type,
    case
        when touched_groups.person_count = 1 then touched_groups.people_group
        when touched.person_count = 1 then touched.people_group
        when touched.person_count > 1 or touched_groups.person_count > 1
            then identifiers.pseudonym
        else coalesce(weak_groups.component, identifiers.pseudonym)
    end as people_group,
    case
        when touched.person_count > 1 then 'touches_several_people'
        when touched_groups.person_count > 1 then 'chain_touches_several_people'
    end as refused_reason,
    greatest(touched.person_count, touched_groups.person_count) as person_count,
    touched.pseudonym is not null as is_touched
from identifiers
left join weak_groups on identifiers.pseudonym = weak_groups.node
left join touched on identifiers.pseudonym = touched.pseudonym
left join touched_groups on weak_groups.component = touched_groups.component
