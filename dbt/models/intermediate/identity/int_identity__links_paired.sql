-- A person's word that two identifiers are one customer counts as much as two contacts.
select
    pseudonym_a,
    pseudonym_b,
    'approved' as link_kind,
    1 as record_count,
    decided_at as first_seen_at
from {{ ref('int_identity__decisions_judged') }}
where decision = 'approve' and refused_reason is null
union all
select
    pseudonym_a,
    pseudonym_b,
    'shared_contacts' as link_kind,
    contact_count as record_count,
    first_seen_at
from {{ ref('int_identity__names_paired') }}
