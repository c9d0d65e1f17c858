{{ config(materialized='table') }}
with judged as (
    select * from {{ ref('int_identity__weak_judged') }}
),

limits as (
    select
        identifier_type,
        limit_per_person
    from {{ ref('stg_identity__types') }}
    where limit_per_person > 0
),

counted as (
    select
        judged.*,
        count(*) over (partition by judged.people_group, judged.identifier_type) as type_count,
        coalesce(
            count(*) over (partition by judged.people_group, judged.identifier_type)
            > limits.limit_per_person,
            false
        ) as is_over_limit
    from judged
    left join limits on judged.identifier_type = limits.identifier_type
),

-- What hung on the person by a chain alone may have lost its chain, so it goes as well.
held as (
    select
        *,
        is_over_limit
        or (not is_touched and bool_or(is_over_limit) over (partition by people_group))
            as is_let_go
    from counted
)

select
    pseudonym,
    identifier_type,
    if(is_let_go, pseudonym, people_group) as people_group,
    if(is_let_go, 'over_limit', refused_reason) as refused_reason,
    case
        when is_over_limit then type_count || ' × ' || identifier_type
        when refused_reason is not null then person_count || ' people'
    end as refused_detail
from held
