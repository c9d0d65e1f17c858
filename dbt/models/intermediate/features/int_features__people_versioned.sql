{{ config(materialized='table') }}
with spells as (
    select * from {{ ref('int_features__identifier_spells_derived') }}
),

-- A late purchase is missing from the snapshots before it came; after the last of them another
-- version begins, so that what a version adds up to never changes.
late_purchases as (
    select * from {{ ref('int_features__late_purchases_dated') }}
),

changes as (
    select
        customer_id,
        counts_from as version_from
    from spells
    union
    select
        customer_id,
        counts_to as version_from
    from spells
    union
    select
        spells.customer_id,
        late_purchases.complete_from as version_from
    from late_purchases
    inner join spells on late_purchases.customer_key = spells.customer_key
),

versions as (
    select
        customer_id,
        version_from,
        lead(version_from) over (partition by customer_id order by version_from) as version_to
    from changes
)

select
    spells.customer_key,
    versions.customer_id,
    spells.known_from,
    -- A short name for the person and version: text keys would cost twice the time.
    dense_rank() over (order by versions.customer_id, versions.version_from) as customer_number,
    versions.version_from,
    versions.version_to
from versions
inner join spells
    on
        versions.customer_id = spells.customer_id
        and versions.version_from >= spells.counts_from
        and versions.version_from < spells.counts_to
