{{ config(materialized='table') }}
with people as (
    select * from {{ ref('int_identity__people_linked') }}
),

touches as (
    select
        links.pseudonym_b as weak_pseudonym,
        people.people_group,
        min(links.first_seen_at) as first_seen_at
    from {{ ref('int_identity__links_cleared') }} as links
    inner join people on links.pseudonym_a = people.pseudonym
    where links.link_kind in ('naming_weak', 'joining_weak') and links.refused_reason is null
    group by links.pseudonym_b, people.people_group
),

several as (
    select * from touches
    qualify count(*) over (partition by weak_pseudonym) > 1
),

profile_values as (
    select distinct
        people.people_group,
        seen.field,
        seen.value
    from {{ ref('int_identity__profile_values_listed') }} as seen
    inner join people on seen.pseudonym = people.pseudonym
    semi join several on people.people_group = several.people_group
),

-- A name that is borne on two birth dates around one device is of two people, or of nobody.
namesakes as (
    select
        several.weak_pseudonym,
        several.people_group,
        min(several.people_group) over same_name as agreed_group
    from several
    inner join profile_values as borne
        on several.people_group = borne.people_group and borne.field = 'name'
    left join profile_values as birth_dates
        on several.people_group = birth_dates.people_group and birth_dates.field = 'birth_date'
    window same_name as (partition by several.weak_pseudonym, borne.value)
    qualify
        min(birth_dates.value) over same_name
        is not distinct from max(birth_dates.value) over same_name
)

select
    namesakes.people_group,
    namesakes.agreed_group,
    count(distinct namesakes.weak_pseudonym) as weak_count,
    min(greatest(touches_a.first_seen_at, touches_b.first_seen_at)) as first_seen_at
from namesakes
inner join touches as touches_a
    on
        namesakes.weak_pseudonym = touches_a.weak_pseudonym
        and namesakes.people_group = touches_a.people_group
inner join touches as touches_b
    on
        namesakes.weak_pseudonym = touches_b.weak_pseudonym
        and namesakes.agreed_group = touches_b.people_group
where namesakes.people_group <> namesakes.agreed_group
group by namesakes.people_group, namesakes.agreed_group
