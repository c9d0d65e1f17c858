with contacts as (
    select * from {{ ref('int_campaigns__contacts_unioned') }}
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
    contacts.ended_date
from contacts
left join people on contacts.customer_key = people.pseudonym
