select
    people_group_a as pseudonym_a,
    people_group_b as pseudonym_b
from {{ ref('int_identity__matches_judged') }}
where verdict = 'join'
union all
select
    people_group as pseudonym_a,
    agreed_group as pseudonym_b
from {{ ref('int_identity__people_corroborated') }}
