with match_groups as (
    select * from {{ ref('int_identity__match_groups_connected') }}
),

people as (
    select * from {{ ref('int_identity__people_linked') }}
),

rules as (
    select bool_or(checks_profile) as checks_profile from {{ ref('stg_identity__types') }}
),

-- Names are left out: two that are nearly alike are what matching is for.
birth_dates as (
    select distinct
        match_groups.component,
        match_groups.node,
        seen.field,
        seen.value
    from {{ ref('int_identity__profile_values_listed') }} as seen
    inner join people on seen.pseudonym = people.pseudonym
    inner join match_groups on people.people_group = match_groups.node
    cross join rules
    where seen.field = 'birth_date' and rules.checks_profile
),

contradicting as (
    {{ contradicting_sets('birth_dates', 'component', 'node') }}
)

select
    birth_dates.component as match_group,
    count(distinct birth_dates.value) as birth_date_count
from birth_dates
inner join contradicting on birth_dates.component = contradicting.component
group by birth_dates.component
