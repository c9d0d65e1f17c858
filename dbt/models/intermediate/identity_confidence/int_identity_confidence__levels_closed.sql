{{ config(materialized='connected_components', incremental=true) }}
with links as (
    select * from {{ ref('int_identity_confidence__links_levelled') }}
),

-- At the lowest level all links count, and they connect the person.
levels as (
    select distinct
        person_id,
        confidence_level
    from links
    where confidence_level > 1
)

-- The level is part of the node, so that one closure answers for every level.
select
    levels.confidence_level || ' ' || links.pseudonym_a as node_a,
    levels.confidence_level || ' ' || links.pseudonym_b as node_b
from levels
inner join links
    on
        levels.person_id = links.person_id
        and levels.confidence_level <= links.confidence_level
