with profiles as (
    select
        customer_key as pseudonym,
        birth_date,
        name
    from {{ ref('int_people__profiles_unioned') }}
    where customer_key is not null
),

listed as (
    select distinct
        pseudonym,
        field,
        value
    from profiles
    unpivot (value for field in (birth_date, name))
)

-- A placeholder (1900-01-01, "customer") says nothing of who somebody is.
select
    listed.pseudonym,
    listed.field,
    listed.value
from listed
anti join {{ ref('stg_identity__blocked') }} as blocked on listed.value = blocked.pseudonym
