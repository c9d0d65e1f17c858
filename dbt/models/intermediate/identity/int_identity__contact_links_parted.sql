{{ config(materialized='table') }}
-- The linter does not know the `using key` of the macro.
-- noqa: disable=PRS,ST03
{{ parted_links(
    ref('int_identity__contact_links_unioned'), ref('int_identity__pairing_groups_connected')
) }}
