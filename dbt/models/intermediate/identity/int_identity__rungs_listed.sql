{{ config(materialized='table') }}
with identifiers as (
    select * from {{ ref('int_identity__identifiers_judged') }}
    where tier in ('naming', 'joining') and refused_reason is null
),

naming_groups as (
    select * from {{ ref('int_identity__naming_groups_connected') }}
),

pairing_groups as (
    select * from {{ ref('int_identity__pairing_groups_connected') }}
),

contact_groups as (
    select * from {{ ref('int_identity__contact_groups_connected') }}
),

chain_groups as (
    select * from {{ ref('int_identity__chain_groups_connected') }}
),

rungs as (
    select
        identifiers.pseudonym,
        identifiers.identifier_type,
        identifiers.tier,
        coalesce(naming_groups.component, identifiers.pseudonym) as naming_group,
        coalesce(pairing_groups.component, identifiers.pseudonym) as pairing_group,
        coalesce(contact_groups.component, identifiers.pseudonym) as contact_group,
        coalesce(chain_groups.component, identifiers.pseudonym) as chain_group
    from identifiers
    left join naming_groups on identifiers.pseudonym = naming_groups.node
    left join pairing_groups on identifiers.pseudonym = pairing_groups.node
    left join contact_groups on identifiers.pseudonym = contact_groups.node
    left join chain_groups on identifiers.pseudonym = chain_groups.node
)

-- A rung's people, and in `part` the people of the rung below that it joins.
select
    'naming' as rung,
    naming_group as people_group,
    pseudonym as part,
    pseudonym,
    identifier_type,
    tier
from rungs
union all
select
    'pairing' as rung,
    pairing_group as people_group,
    naming_group as part,
    pseudonym,
    identifier_type,
    tier
from rungs
union all
select
    'contact' as rung,
    contact_group as people_group,
    pairing_group as part,
    pseudonym,
    identifier_type,
    tier
from rungs
union all
select
    'chain' as rung,
    chain_group as people_group,
    contact_group as part,
    pseudonym,
    identifier_type,
    tier
from rungs
