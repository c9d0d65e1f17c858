{{ config(materialized='table') }}
with fingerprinted as (
    select * from {{ ref('int_features__days_fingerprinted') }}
),

held as (
    {{ held_feature_versions() }}
)

select
    fingerprinted.as_of_date,
    fingerprinted.inputs_version,
    held.as_of_date is null as is_due
from fingerprinted
left join held
    on
        fingerprinted.as_of_date = held.as_of_date
        and fingerprinted.inputs_version = held.inputs_version
