with unioned as (
    {{ union_by_name([
        ref('stg_complete_journey__demographics'),
    ]) }}
)

select
    source,
    customer_key,
    customer_key_type,
    age_band,
    income_band,
    home_ownership,
    marital_status,
    household_size,
    household_composition,
    kids_count
from unioned
