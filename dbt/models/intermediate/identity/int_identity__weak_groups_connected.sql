{{ config(materialized='connected_components', incremental=true) }}
select
    pseudonym_a as node_a,
    pseudonym_b as node_b,
    cast(first_seen_at as date) as part
from {{ ref('int_identity__links_cleared') }}
where link_kind = 'weak_weak' and refused_reason is null
