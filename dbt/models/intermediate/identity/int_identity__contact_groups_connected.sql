{{ config(materialized='connected_components', incremental=true) }}
select
    node as node_a,
    component as node_b,
    -- Groups are of no day.
    date '1970-01-01' as part
from {{ ref('int_identity__naming_groups_connected') }}
union all
select
    pseudonym_a as node_a,
    pseudonym_b as node_b,
    cast(first_seen_at as date) as part
from {{ ref('int_identity__links_cleared') }}
where link_kind = 'naming_joining' and refused_reason is null
union all
select
    claimant_a as node_a,
    claimant_b as node_b,
    cast(first_seen_at as date) as part
from {{ ref('int_identity__claimants_agreed') }}
