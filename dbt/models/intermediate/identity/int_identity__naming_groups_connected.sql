{{ config(materialized='connected_components', incremental=true) }}
select
    pseudonym_a as node_a,
    pseudonym_b as node_b,
    cast(first_seen_at as date) as part
from {{ ref('int_identity__links_screened') }}
where link_kind = 'naming_naming' and refused_reason is null
union all
-- A person's word that two identifiers are one customer counts as much as a record that names both.
select
    pseudonym_a as node_a,
    pseudonym_b as node_b,
    date '1970-01-01' as part
from {{ ref('int_identity__decisions_judged') }}
where decision = 'approve' and refused_reason is null
union all
select
    pseudonym_a as node_a,
    pseudonym_b as node_b,
    cast(first_seen_at as date) as part
from {{ ref('int_identity__names_paired') }}
