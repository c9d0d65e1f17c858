with people as (
    select * from {{ ref('int_identity__people_linked') }}
),

match_groups as (
    select * from {{ ref('int_identity__match_groups_connected') }}
),

refused as (
    select match_group from {{ ref('int_identity__matches_refused') }}
),

joined as (
    select
        match_groups.node,
        match_groups.component
    from match_groups
    left join refused on match_groups.component = refused.match_group
    where refused.match_group is null
)

select
    people.pseudonym,
    people.identifier_type,
    coalesce(joined.component, people.people_group) as people_group
from people
left join joined on people.people_group = joined.node
