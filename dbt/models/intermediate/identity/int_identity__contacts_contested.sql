{{ config(materialized='table') }}
with links as (
    select
        links.pseudonym_a,
        links.pseudonym_b,
        rules.checks_profile
    from {{ ref('int_identity__links_screened') }} as links
    inner join {{ ref('stg_identity__types') }} as rules
        on links.identifier_type_b = rules.identifier_type
    where links.link_kind = 'naming_joining' and links.refused_reason is null
),

pairing_groups as (
    select * from {{ ref('int_identity__pairing_groups_connected') }}
),

-- Who claims a contact: each group of names that a record shows together with it.
claims as (
    select distinct
        links.pseudonym_b as contact,
        coalesce(pairing_groups.component, links.pseudonym_a) as claimant,
        links.checks_profile
    from links
    left join pairing_groups on links.pseudonym_a = pairing_groups.node
),

rivals as (
    select
        contact,
        claimant,
        checks_profile,
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
    left join pairing_groups on seen.pseudonym = pairing_groups.node
    inner join rivals on coalesce(pairing_groups.component, seen.pseudonym) = rivals.claimant
    where rivals.checks_profile
),

contradicting as (
    {{ contradicting_sets('profiled', 'contact', 'claimant') }}
),

-- A person's word that two claimants are two counts as much as their birth dates.
parted as (
    select
        rivals_a.contact,
        arg_min(pairs.detail, pairs.row_number) as decision_detail
    from {{ ref('int_identity__pairs_rejected') }} as pairs
    left join pairing_groups as groups_a on pairs.pseudonym_a = groups_a.node
    left join pairing_groups as groups_b on pairs.pseudonym_b = groups_b.node
    inner join rivals as rivals_a
        on coalesce(groups_a.component, pairs.pseudonym_a) = rivals_a.claimant
    inner join rivals as rivals_b
        on
            coalesce(groups_b.component, pairs.pseudonym_b) = rivals_b.claimant
            and rivals_a.contact = rivals_b.contact
    group by rivals_a.contact
)

select distinct
    rivals.contact as pseudonym,
    rivals.claimant_count,
    parted.decision_detail
from rivals
left join contradicting on rivals.contact = contradicting.contact
left join parted on rivals.contact = parted.contact
where coalesce(contradicting.contact, parted.contact) is not null
