with profiles as (
    select * from {{ ref('int_people__profiles_unioned') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
),

blocked as (
    select * from {{ ref('stg_identity__blocked') }}
),

described as (
    select
        people.person_id,
        profiles.*
    from profiles
    inner join people on profiles.customer_key = people.pseudonym
),

fields as (
    select
        person_id,
        entity,
        seen_at,
        is_verified,
        field,
        pseudonym
    from described
    unpivot (
        pseudonym for field in (
            name, given_name, surname, birth_date, address, postcode, city, company, email, phone
        )
    )
)

-- A placeholder is nobody's contact, however often it was typed.
select
    fields.person_id,
    fields.field,
    fields.pseudonym,
    fields.entity,
    bool_or(coalesce(fields.is_verified, false)) as is_verified,
    max(fields.seen_at) as seen_at,
    cast(
        sum(count(*)) over (
            partition by fields.person_id, fields.field, fields.pseudonym
        ) as bigint
    ) as record_count
from fields
anti join blocked on fields.pseudonym = blocked.pseudonym
group by fields.person_id, fields.field, fields.pseudonym, fields.entity
