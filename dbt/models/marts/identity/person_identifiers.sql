with identifiers as (
    select * from {{ ref('int_identity__identifiers_judged') }}
),

people as (
    select * from {{ ref('int_identity__people_joined') }}
),

edges as (
    select * from {{ ref('identifier_edges') }}
    where is_accepted
),

-- The anchor names the person: a full rebuild, or another order of arrival, finds the same one.
anchors as (
    select
        people.people_group,
        min(
            struct_pack(
                seen_at := identifiers.first_seen_at,
                priority := identifiers.priority,
                pseudonym := identifiers.pseudonym
            )
        ).pseudonym as anchor
    from identifiers
    inner join people on identifiers.pseudonym = people.pseudonym
    group by people.people_group
),

link_ends as (
    select
        pseudonym_a as pseudonym,
        confidence
    from edges
    union all
    select
        pseudonym_b as pseudonym,
        confidence
    from edges
),

best_links as (
    select
        pseudonym,
        max(confidence) as confidence
    from link_ends
    group by pseudonym
)

select
    identifiers.identifier_type,
    identifiers.pseudonym,
    left(sha256('person:' || anchors.anchor), 32) as person_id,
    identifiers.tier,
    identifiers.source,
    identifiers.first_seen_at,
    identifiers.last_seen_at,
    cast(coalesce(best_links.confidence, 1) as double) as confidence
from identifiers
inner join people on identifiers.pseudonym = people.pseudonym
inner join anchors on people.people_group = anchors.people_group
left join best_links on identifiers.pseudonym = best_links.pseudonym
