{{ config(materialized='connected_components', incremental=true) }}
select
    node as node_a,
    component as node_b,
    {{ part_of_component('component') }} as part
from {{ ref('int_identity__contact_groups_connected') }}
union all
select
    links.pseudonym_a as node_a,
    links.pseudonym_b as node_b,
    cast(links.first_seen_at as date) as part
from {{ ref('int_identity__links_cleared') }} as links
anti join {{ ref('int_identity__chain_links_parted') }} as parted
    on links.pseudonym_a = parted.pseudonym_a and links.pseudonym_b = parted.pseudonym_b
where links.link_kind = 'joining_joining' and links.refused_reason is null
