with email_events as (
    select * from {{ source('demo', 'email_events') }}
),

campaigns as (
    select * from {{ source('demo', 'campaigns') }}
),

-- Two registrations may share an address: it is one contact, whatever it received.
contacts as (
    select
        campaign_id,
        email_pseudonym,
        arg_min(_file_id, (occurred_at, message_id)) as file_id
    from email_events
    where event = 'sent' and email_pseudonym is not null
    group by campaign_id, email_pseudonym
)

select
    'demo' as source,
    cast(contacts.campaign_id as varchar) as source_campaign_id,
    campaigns.campaign_type,
    contacts.email_pseudonym as customer_key,
    'email' as customer_key_type,
    'email' as channel,
    campaigns.start_date as started_date,
    campaigns.end_date as ended_date,
    contacts.file_id
from contacts
left join campaigns on contacts.campaign_id = campaigns.campaign_id
