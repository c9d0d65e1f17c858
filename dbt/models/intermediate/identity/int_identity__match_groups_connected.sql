{{ config(materialized='connected_components', incremental=true) }}
select
    links.pseudonym_a as node_a,
    links.pseudonym_b as node_b
from {{ ref('int_identity__match_links_unioned') }} as links
anti join {{ ref('int_identity__match_links_parted') }} as parted
    on links.pseudonym_a = parted.pseudonym_a and links.pseudonym_b = parted.pseudonym_b
