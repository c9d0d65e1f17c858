{{ config(meta={'dagster': {'ref': {'name': 'identifier_edges'}}}) }}
select
    pseudonym_a,
    pseudonym_b,
    link_kind
from {{ ref('identifier_edges') }}
where is_accepted <> (refused_reason is null)
