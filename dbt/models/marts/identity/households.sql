with profiles as (
    select * from {{ ref('int_people__golden_profiles_pivoted') }}
    where address_pseudonym is not null
),

counted as (
    select
        *,
        count(*) over (partition by address_pseudonym, postcode_pseudonym) as person_count
    from profiles
)

select
    left(
        sha256('household:' || address_pseudonym || coalesce(postcode_pseudonym, '')), 32
    ) as household_id,
    person_id,
    'address' as evidence,
    address_source as source,
    person_count
from counted
-- More people than this share a dormitory, an office or a house without flat numbers.
where person_count <= 8
