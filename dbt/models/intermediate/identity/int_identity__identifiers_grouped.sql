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
)

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
