with contacts as (
    select * from {{ ref('int_campaigns__contacts_unioned') }}
),

late_files as (
    select * from {{ ref('int_landing__late_files') }}
),

people as (
    select * from {{ ref('person_identifiers') }}
)

select
    concat_ws(':', contacts.source, contacts.source_campaign_id, contacts.customer_key)
        as campaign_contact_id,
    contacts.source,
    contacts.source_campaign_id,
    contacts.campaign_type,
    contacts.customer_key,
    people.person_id as customer_id,
    contacts.channel,
    contacts.started_date,
    contacts.ended_date,
    {{ known_from('contacts.started_date') }} as known_from
from contacts
left join people on contacts.customer_key = people.pseudonym
left join late_files
    on
        contacts.source = late_files.source
        and contacts.file_id = late_files.file_id
