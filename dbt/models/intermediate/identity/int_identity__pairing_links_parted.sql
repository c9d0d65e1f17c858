{{ config(materialized='table') }}
-- The linter does not know the `using key` of the macro.
-- noqa: disable=PRS,ST03
{{ parted_links(
    ref('int_identity__links_paired'), ref('int_identity__naming_groups_connected')
) }}
