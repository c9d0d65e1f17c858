{{ config(materialized='table') }}
with identifiers as (
    select
        identifier_type,
        pseudonym,
        min(source) as source,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from {{ ref('int_identity__identifiers_seen') }}
    group by identifier_type, pseudonym
),

types as (
    select * from {{ ref('stg_identity__types') }}
),

links as (
    select * from {{ ref('int_identity__links_seen') }}
),

blocked as (
    select
        pseudonym,
        'blocked_' || min(reason) as reason
    from {{ ref('stg_identity__blocked') }}
    group by pseudonym
),

-- Names of one type that were seen with the identifier, whichever end of the link it is.
name_counts as (
    select
        pseudonym_b as pseudonym,
        identifier_type_a as name_type,
        count(*) as name_count
    from links
    where starts_with(link_kind, 'naming_')
    group by pseudonym_b, identifier_type_a
    union all
    select
        pseudonym_a as pseudonym,
        identifier_type_b as name_type,
        count(*) as name_count
    from links
    where link_kind = 'naming_naming'
    group by pseudonym_a, identifier_type_b
),

named as (
    select
        pseudonym,
        max(name_count) as name_count,
        arg_max(name_type, (name_count, name_type)) as name_type
    from name_counts
    group by pseudonym
)

select
    identifiers.identifier_type,
    identifiers.pseudonym,
    identifiers.source,
    identifiers.first_seen_at,
    identifiers.last_seen_at,
    coalesce(types.tier, 'weak') as tier,
    coalesce(types.priority, 1000) as priority,
    case
        when blocked.reason is not null then blocked.reason
        when types.shared_above > 0 and named.name_count > types.shared_above
            then 'shared_identifier'
    end as refused_reason,
    case
        when
            blocked.reason is null
            and types.shared_above > 0
            and named.name_count > types.shared_above
            then named.name_count || ' × ' || named.name_type
    end as refused_detail
from identifiers
left join types on identifiers.identifier_type = types.identifier_type
left join blocked on identifiers.pseudonym = blocked.pseudonym
left join named on identifiers.pseudonym = named.pseudonym
