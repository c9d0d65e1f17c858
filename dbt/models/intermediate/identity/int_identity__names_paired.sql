{{ config(materialized='table') }}
with birth_dates as (
    select * from {{ ref('int_identity__profile_values_listed') }}
    where field = 'birth_date'
),

checked_types as (
    select identifier_type from {{ ref('stg_identity__types') }}
    where checks_profile
),

links as (
    select
        links.pseudonym_a,
        links.pseudonym_b,
        links.link_kind,
        links.first_seen_at
    from {{ ref('int_identity__links_screened') }} as links
    inner join checked_types on links.identifier_type_b = checked_types.identifier_type
    where
        links.link_kind in ('naming_joining', 'joining_joining')
        and links.refused_reason is null
),

-- What one record names together needs no other evidence.
settled as (
    select
        least(pseudonym_a, pseudonym_b) as pseudonym_a,
        greatest(pseudonym_a, pseudonym_b) as pseudonym_b
    from {{ ref('int_identity__links_screened') }}
    where link_kind = 'naming_naming' and refused_reason is null
),

-- Two contacts of one record, and who was seen with each of them.
holders as (
    select
        contacts.pseudonym_a as contact_a,
        contacts.pseudonym_b as contact_b,
        links_a.pseudonym_a as pseudonym,
        greatest(links_a.first_seen_at, links_b.first_seen_at) as seen_at
    from links as contacts
    inner join links as links_a on contacts.pseudonym_a = links_a.pseudonym_b
    inner join links as links_b
        on
            contacts.pseudonym_b = links_b.pseudonym_b
            and links_a.pseudonym_a = links_b.pseudonym_a
    where
        contacts.link_kind = 'joining_joining'
        and links_a.link_kind = 'naming_joining'
        and links_b.link_kind = 'naming_joining'
),

agreeing as (
    select
        holders.contact_a,
        holders.contact_b,
        min(holders.pseudonym) as pseudonym_a,
        arg_min(holders.seen_at, holders.pseudonym) as seen_at
    from holders
    left join birth_dates on holders.pseudonym = birth_dates.pseudonym
    group by holders.contact_a, holders.contact_b
    having
        count(distinct holders.pseudonym) > 1
        and count(distinct birth_dates.value) <= 1
)

select
    agreeing.pseudonym_a,
    holders.pseudonym as pseudonym_b,
    count(*) as contact_count,
    min(greatest(agreeing.seen_at, holders.seen_at)) as first_seen_at
from agreeing
inner join holders
    on
        agreeing.contact_a = holders.contact_a
        and agreeing.contact_b = holders.contact_b
        and agreeing.pseudonym_a <> holders.pseudonym
anti join settled
    on
        agreeing.pseudonym_a = settled.pseudonym_a
        and holders.pseudonym = settled.pseudonym_b
group by agreeing.pseudonym_a, holders.pseudonym
