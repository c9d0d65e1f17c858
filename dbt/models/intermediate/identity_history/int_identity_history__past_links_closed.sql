{{ config(materialized='connected_components', incremental=true) }}
with changes as (
    select * from {{ ref('int_identity_history__people_changes_dated') }}
),

links as (
    select * from {{ ref('int_identity_history__links_dated') }}
)

-- The day is part of the node, so that one closure answers for every day.
select
    changes.as_of_date || ' ' || links.pseudonym_a as node_a,
    changes.as_of_date || ' ' || links.pseudonym_b as node_b,
    changes.as_of_date as part
from changes
inner join links
    on
        changes.person_id = links.person_id
        and changes.as_of_date >= links.known_date
