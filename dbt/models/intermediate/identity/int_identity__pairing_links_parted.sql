{{ config(materialized='table') }}
-- The linter does not know the `using key` of the macro.
-- noqa: disable=PRS,ST03
with links as (
    select * from {{ ref('int_identity__links_paired') }}
),

parted as (
    {{ parted_links('links', ref('int_identity__naming_groups_connected')) }}
)

select * from parted
