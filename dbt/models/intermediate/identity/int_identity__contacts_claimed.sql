with everybody as (
    select
        *,
        count(*) over (partition by people_group) as identifier_count
    from {{ ref('int_identity__people_matched') }}
),

-- One that an approval or a match has given a person stays there.
contested as (
    select everybody.pseudonym
    from everybody
    semi join {{ ref('int_identity__contacts_contested') }} as contacts
        on everybody.pseudonym = contacts.pseudonym
    where everybody.identifier_count = 1
),

people as (
    select everybody.*
    from everybody
    anti join contested on everybody.pseudonym = contested.pseudonym
),

links as (
    select * from {{ ref('int_identity__links_cleared') }}
    where refused_reason = 'contested_identifier'
),

sightings as (
    select
        links.pseudonym_b as pseudonym,
        links.identifier_type_b as identifier_type,
        people.people_group,
        links.first_seen_at,
        links.last_seen_at
    from links
    semi join contested on links.pseudonym_b = contested.pseudonym
    inner join people on links.pseudonym_a = people.pseudonym
    where links.link_kind in ('naming_joining', 'joining_joining')
    union all
    select
        links.pseudonym_a as pseudonym,
        links.identifier_type_a as identifier_type,
        people.people_group,
        links.first_seen_at,
        links.last_seen_at
    from links
    semi join contested on links.pseudonym_a = contested.pseudonym
    inner join people on links.pseudonym_b = people.pseudonym
    where links.link_kind = 'joining_joining'
),

rejected as (
    select
        unnest([pseudonym_a, pseudonym_b]) as pseudonym,
        unnest([pseudonym_b, pseudonym_a]) as other_pseudonym
    from {{ ref('int_identity__pairs_rejected') }}
),

parted as (
    select
        rejected.pseudonym,
        people.people_group
    from rejected
    inner join people on rejected.other_pseudonym = people.pseudonym
)

-- Whom a person has parted from the contact does not claim it.
select
    sightings.pseudonym,
    sightings.identifier_type,
    sightings.people_group,
    min(sightings.first_seen_at) as first_seen_at,
    max(sightings.last_seen_at) as last_seen_at
from sightings
anti join parted
    on
        sightings.pseudonym = parted.pseudonym
        and sightings.people_group = parted.people_group
group by sightings.pseudonym, sightings.identifier_type, sightings.people_group
