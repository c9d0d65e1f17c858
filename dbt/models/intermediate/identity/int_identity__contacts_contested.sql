{{ config(materialized='table') }}
with links as (
    select
        links.pseudonym_a,
        links.pseudonym_b
    from {{ ref('int_identity__links_screened') }} as links
    inner join {{ ref('stg_identity__types') }} as rules
        on links.identifier_type_b = rules.identifier_type and rules.checks_profile
    where links.link_kind = 'naming_joining' and links.refused_reason is null
),

naming_groups as (
    select * from {{ ref('int_identity__naming_groups_connected') }}
),

-- Who claims a contact: each group of names that a record shows together with it.
claims as (
    select distinct
        links.pseudonym_b as contact,
        coalesce(naming_groups.component, links.pseudonym_a) as claimant
    from links
    left join naming_groups on links.pseudonym_a = naming_groups.node
),

rivals as (
    select
        contact,
        claimant,
        count(*) over (partition by contact) as claimant_count
    from claims
    qualify claimant_count > 1
),

profiled as (
    select distinct
        rivals.contact,
        rivals.claimant,
        seen.field,
        seen.value
    from {{ ref('int_identity__profile_values_listed') }} as seen
    left join naming_groups on seen.pseudonym = naming_groups.node
    inner join rivals on coalesce(naming_groups.component, seen.pseudonym) = rivals.claimant
),

contradicting as (
    {{ contradicting_sets('profiled', 'contact', 'claimant') }}
)

select distinct
    rivals.contact as pseudonym,
    rivals.claimant_count
from rivals
inner join contradicting on rivals.contact = contradicting.contact
