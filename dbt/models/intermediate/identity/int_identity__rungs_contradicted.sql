with rungs as (
    select * from {{ ref('int_identity__rungs_listed') }}
),

rules as (
    select bool_or(checks_profile) as checks_profile from {{ ref('stg_identity__types') }}
),

-- What a contact's own orders say of it (a gift goes to another name) does not part it from a name.
profiled as (
    select distinct
        rungs.rung,
        rungs.people_group,
        rungs.part,
        profile_values.field,
        profile_values.value
    from rungs
    inner join {{ ref('int_identity__profile_values_listed') }} as profile_values
        on rungs.pseudonym = profile_values.pseudonym
    cross join rules
    where
        rules.checks_profile
        and (rungs.rung = 'chain' or (rungs.rung = 'contact' and rungs.tier = 'naming'))
),

contradicting as (
    {{ contradicting_sets('profiled', 'rung, people_group', 'part') }}
),

-- A contradiction inside a part is one of the whole, though the part's profiles are then lumped.
inherited as (
    select distinct
        rungs.rung,
        rungs.people_group
    from rungs
    inner join contradicting
        on rungs.part = contradicting.people_group and contradicting.rung = 'contact'
    where rungs.rung = 'chain'
)

select * from contradicting
union
select * from inherited
