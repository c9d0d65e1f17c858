with edges as (
    select * from {{ ref('identifier_edges') }}
    where not is_accepted
),

decisions as (
    select
        *,
        'decision' as link_kind,
        'line ' || row_number || ' of the decision file' as refused_detail
    from {{ ref('int_identity__decisions_judged') }}
    where refused_reason is not null
)

select
    pseudonym_a,
    identifier_type_a,
    pseudonym_b,
    identifier_type_b,
    link_kind,
    refused_reason as reason,
    refused_detail as reason_detail,
    source,
    entity,
    record_id,
    first_seen_at,
    last_seen_at
from edges
union all
select
    pseudonym_a,
    identifier_type_a,
    pseudonym_b,
    identifier_type_b,
    link_kind,
    refused_reason as reason,
    refused_detail as reason_detail,
    null as source,
    null as entity,
    null as record_id,
    decided_at as first_seen_at,
    decided_at as last_seen_at
from decisions
