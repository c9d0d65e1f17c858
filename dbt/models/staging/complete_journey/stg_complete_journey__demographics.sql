with demographics as (
    select * from {{ source('complete_journey', 'demographics') }}
)

select
    'complete_journey' as source,
    household_id_pseudonym as customer_key,
    'customer_id' as customer_key_type,
    age as age_band,
    income as income_band,
    home_ownership,
    marital_status,
    household_size,
    household_comp as household_composition,
    kids_count
from demographics
