select
    pseudonym_a,
    pseudonym_b,
    first_seen_at
from {{ ref('int_identity__links_cleared') }}
where link_kind = 'naming_joining' and refused_reason is null
union all
select
    claimant_a as pseudonym_a,
    claimant_b as pseudonym_b,
    first_seen_at
from {{ ref('int_identity__claimants_agreed') }}
