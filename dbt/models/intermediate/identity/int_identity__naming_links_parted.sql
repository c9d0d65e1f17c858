{{ config(materialized='table') }}
-- The linter does not know the `using key` of the macro.
-- noqa: disable=PRS,ST03
with links as (
    select * from {{ ref('int_identity__links_screened') }}
    where link_kind = 'naming_naming' and refused_reason is null
),

-- Below the first rung everybody is alone.
nobody as (
    select
        cast(null as varchar) as node,
        cast(null as varchar) as component
    where false
),

parted as (
    {{ parted_links('links', 'nobody') }}
)

select * from parted
