{{ config(materialized='connected_components', incremental=true) }}
select
    people_group_a as node_a,
    people_group_b as node_b
from {{ ref('int_identity__matches_judged') }}
where verdict = 'join'
union all
select
    people_group as node_a,
    agreed_group as node_b
from {{ ref('int_identity__people_corroborated') }}
