{{ config(materialized='table') }}
select
    pseudonym_a,
    pseudonym_b,
    row_number,
    'line ' || row_number || ' of the decision file' as detail
from {{ ref('int_identity__decisions_judged') }}
where decision = 'reject' and refused_reason is null
