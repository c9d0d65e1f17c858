{{ config(meta={'dagster': {'ref': {'name': 'int_identity__identifiers_judged'}}}) }}
with identifiers as (
    select * from {{ ref('int_identity__identifiers_judged') }}
),

rules as (
    select * from {{ ref('stg_identity__types') }}
)

select distinct identifiers.identifier_type
from identifiers
anti join rules on identifiers.identifier_type = rules.identifier_type
