with profiles as (
    select * from {{ ref('int_people__golden_profiles_pivoted') }}
    where company_pseudonym is not null
)

select
    left(sha256('account:' || company_pseudonym), 32) as account_id,
    person_id,
    'company' as evidence,
    company_source as source,
    count(*) over (partition by company_pseudonym) as person_count
from profiles
