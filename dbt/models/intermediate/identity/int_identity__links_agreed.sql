with people as (
    select * from {{ ref('int_identity__people_linked') }}
),

agreed as (
    select
        *,
        'pairing' as rung
    from {{ ref('int_identity__links_paired') }}
    union all by name
    select
        claimant_a as pseudonym_a,
        claimant_b as pseudonym_b,
        'agreeing_profiles' as link_kind,
        'contact' as rung,
        contact_count as record_count,
        first_seen_at
    from {{ ref('int_identity__claimants_agreed') }}
)

select
    agreed.pseudonym_a,
    end_a.identifier_type as identifier_type_a,
    agreed.pseudonym_b,
    end_b.identifier_type as identifier_type_b,
    agreed.link_kind,
    agreed.rung,
    agreed.record_count,
    agreed.first_seen_at,
    agreed.first_seen_at as last_seen_at
from agreed
inner join people as end_a on agreed.pseudonym_a = end_a.pseudonym
inner join people as end_b on agreed.pseudonym_b = end_b.pseudonym
