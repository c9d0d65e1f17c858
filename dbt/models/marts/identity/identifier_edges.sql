with links as (
    select
        *,
        case
            when record_count >= 5 then 'many'
            when record_count >= 2 then 'few'
            else 'once'
        end as times_seen_band
    from {{ ref('int_identity__links_judged') }}
),

confidences as (
    select * from {{ ref('identity_link_confidence') }}
)

select
    links.pseudonym_a,
    links.identifier_type_a,
    links.pseudonym_b,
    links.identifier_type_b,
    links.link_kind,
    links.source,
    links.entity,
    links.record_id,
    links.record_count,
    links.first_seen_at,
    links.last_seen_at,
    links.is_accepted,
    case when not links.is_accepted then links.refused_reason end as refused_reason,
    case when not links.is_accepted then links.refused_detail end as refused_detail,
    case
        when not links.is_accepted then 0
        -- A kind that was never measured is not trusted.
        else coalesce(links.match_probability, confidences.confidence, 0.5)
    end as confidence
from links
left join confidences
    on
        links.link_kind = confidences.link_kind
        and links.times_seen_band = confidences.times_seen_band
