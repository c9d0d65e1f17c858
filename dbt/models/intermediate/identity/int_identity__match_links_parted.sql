{{ config(materialized='table') }}
-- The linter does not know the `using key` of the macro.
-- noqa: disable=PRS,ST03
with links as (
    select * from {{ ref('int_identity__match_links_unioned') }}
),

people as (
    select
        pseudonym as node,
        people_group as component
    from {{ ref('int_identity__people_linked') }}
),

parted as (
    {{ parted_links('links', 'people') }}
)

select * from parted
