with match_groups as (
    select * from {{ ref('int_identity__match_groups_connected') }}
),

people as (
    select * from {{ ref('int_identity__people_linked') }}
),

limits as (
    select
        identifier_type,
        limit_per_person
    from {{ ref('stg_identity__types') }}
    where limit_per_person > 0
),

too_large as (
    select
        match_groups.component,
        'match_too_large' as reason,
        count(*) || ' people' as reason_detail
    from match_groups
    cross join {{ ref('stg_identity__matching') }} as rules
    where rules.largest_join > 0
    group by match_groups.component, rules.largest_join
    having count(*) > rules.largest_join
),

over_limit as (
    select
        match_groups.component,
        'over_limit' as reason,
        count(*) || ' × ' || people.identifier_type as reason_detail
    from match_groups
    inner join people on match_groups.node = people.people_group
    inner join limits on people.identifier_type = limits.identifier_type
    group by match_groups.component, people.identifier_type, limits.limit_per_person
    having count(*) > limits.limit_per_person
),

reasons as (
    select * from too_large
    union all by name
    select * from over_limit
    union all by name
    select
        match_group as component,
        'contradiction' as reason,
        birth_date_count || ' birth dates' as reason_detail
    from {{ ref('int_identity__match_groups_contradicted') }}
)

select
    component as match_group,
    min(reason) as reason,
    arg_min(reason_detail, (reason, reason_detail)) as reason_detail
from reasons
group by component
