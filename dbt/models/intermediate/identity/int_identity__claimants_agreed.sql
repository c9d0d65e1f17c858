{{ config(materialized='table') }}
with seen as (
    select
        unnest([pseudonym_a, pseudonym_b]) as contact,
        unnest([pseudonym_b, pseudonym_a]) as pseudonym,
        first_seen_at
    from {{ ref('int_identity__links_screened') }}
    where link_kind in ('naming_joining', 'joining_joining') and refused_reason is null
),

pairing_groups as (
    select * from {{ ref('int_identity__pairing_groups_connected') }}
),

contested as (
    select pseudonym as contact from {{ ref('int_identity__contacts_contested') }}
),

-- Everything seen with a contested contact, but another contested one: a guest has left no more
-- than an e-mail address and a phone number.
claims as (
    select
        seen.contact,
        coalesce(pairing_groups.component, seen.pseudonym) as claimant,
        min(seen.first_seen_at) as first_seen_at
    from seen
    semi join contested on seen.contact = contested.contact
    anti join contested as also_contested on seen.pseudonym = also_contested.contact
    left join pairing_groups on seen.pseudonym = pairing_groups.node
    group by seen.contact, coalesce(pairing_groups.component, seen.pseudonym)
),

profiled as (
    select distinct
        claims.contact,
        claims.claimant,
        listed.field,
        listed.value
    from {{ ref('int_identity__profile_values_listed') }} as listed
    left join pairing_groups on listed.pseudonym = pairing_groups.node
    inner join claims on coalesce(pairing_groups.component, listed.pseudonym) = claims.claimant
),

birth_dates as (
    select
        contact,
        claimant,
        value as birth_date,
        min(claimant) over (partition by contact, value) as agreed_claimant
    from profiled
    where field = 'birth_date'
),

-- Claimants of one name agree, unless the name is borne on two birth dates.
names as (
    select
        profiled.contact,
        profiled.claimant,
        min(profiled.claimant) over same_name as agreed_claimant
    from profiled
    left join birth_dates using (contact, claimant)
    where profiled.field = 'name'
    window same_name as (partition by profiled.contact, profiled.value)
    qualify
        min(birth_dates.birth_date) over same_name
        is not distinct from max(birth_dates.birth_date) over same_name
),

agreed as (
    select * from names
    union all by name
    select * exclude (birth_date) from birth_dates
)

select
    agreed.claimant as claimant_a,
    agreed.agreed_claimant as claimant_b,
    count(distinct agreed.contact) as contact_count,
    min(greatest(claims_a.first_seen_at, claims_b.first_seen_at)) as first_seen_at
from agreed
inner join claims as claims_a
    on agreed.contact = claims_a.contact and agreed.claimant = claims_a.claimant
inner join claims as claims_b
    on agreed.contact = claims_b.contact and agreed.agreed_claimant = claims_b.claimant
where agreed.claimant <> agreed.agreed_claimant
group by agreed.claimant, agreed.agreed_claimant
