{{ config(materialized='table') }}
with sightings as (
    select * from {{ ref('int_identity__sightings_unpivoted') }}
),

types as (
    select
        identifier_type,
        tier,
        row_number() over (
            order by
                list_position(['naming', 'joining', 'weak'], tier),
                priority,
                identifier_type
        ) as type_rank
    from {{ ref('stg_identity__types') }}
),

ranked as (
    select
        sightings.*,
        types.tier,
        types.type_rank
    from sightings
    inner join types on sightings.identifier_type = types.identifier_type
),

-- The stronger end is `a`, so that "a names b" reads the same everywhere.
pairs as (
    select
        stronger.pseudonym as pseudonym_a,
        stronger.identifier_type as identifier_type_a,
        weaker.pseudonym as pseudonym_b,
        weaker.identifier_type as identifier_type_b,
        stronger.tier || '_' || weaker.tier as link_kind,
        stronger.record_count,
        stronger.last_seen_at,
        struct_pack(
            seen_at := stronger.first_seen_at,
            entity := stronger.entity,
            record_id := stronger.record_id,
            source := stronger.source
        ) as record
    from ranked as stronger
    inner join ranked as weaker
        on
            stronger.entity = weaker.entity
            and stronger.record_id = weaker.record_id
            and (stronger.type_rank, stronger.pseudonym) < (weaker.type_rank, weaker.pseudonym)
),

-- Structs compare field by field, and a null comes last: the least is the first record.
links as (
    select
        pseudonym_a,
        identifier_type_a,
        pseudonym_b,
        identifier_type_b,
        link_kind,
        min(record) as first_record,
        cast(sum(record_count) as bigint) as record_count,
        max(last_seen_at) as last_seen_at
    from pairs
    group by pseudonym_a, identifier_type_a, pseudonym_b, identifier_type_b, link_kind
)

select
    links.pseudonym_a,
    links.identifier_type_a,
    links.pseudonym_b,
    links.identifier_type_b,
    links.link_kind,
    links.first_record.source,
    links.first_record.entity,
    links.first_record.record_id,
    links.record_count,
    links.first_record.seen_at as first_seen_at,
    links.last_seen_at
from links
