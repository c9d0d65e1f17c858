with decisions as (
    select * from {{ ref('stg_identity__decisions') }}
),

identifiers as (
    select * from {{ ref('int_identity__identifiers_judged') }}
)

select
    decisions.row_number,
    decisions.pseudonym_a,
    end_a.identifier_type as identifier_type_a,
    decisions.pseudonym_b,
    end_b.identifier_type as identifier_type_b,
    decisions.decision,
    decisions.decided_by,
    decisions.decided_at,
    decisions.note,
    case
        when end_a.pseudonym is null or end_b.pseudonym is null
            then 'decision_names_unknown_identifier'
        when 'weak' in (end_a.tier, end_b.tier) then 'decision_names_weak_identifier'
        when
            decisions.decision = 'approve'
            and coalesce(end_a.refused_reason, end_b.refused_reason) is not null
            then 'decision_names_refused_identifier'
    end as refused_reason
from decisions
left join identifiers as end_a on decisions.pseudonym_a = end_a.pseudonym
left join identifiers as end_b on decisions.pseudonym_b = end_b.pseudonym
