{{ config(materialized='connected_components', incremental=true) }}
select
    links.pseudonym_a as node_a,
    links.pseudonym_b as node_b,
    cast(links.first_seen_at as date) as part
from {{ ref('int_identity__links_screened') }} as links
anti join {{ ref('int_identity__naming_links_parted') }} as parted
    on links.pseudonym_a = parted.pseudonym_a and links.pseudonym_b = parted.pseudonym_b
where links.link_kind = 'naming_naming' and links.refused_reason is null
