with contacts as (
    select * from {{ ref('fct_campaign_contacts') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

as_of as (
    select as_of_date as today from {{ ref('stg_run__as_of') }}
)

-- A person with two addresses may be sent a campaign twice: it is one campaign.
select
    contacts.source,
    contacts.source_campaign_id,
    people.customer_number,
    people.customer_id,
    max(contacts.customer_id) as later_customer_id,
    max(contacts.campaign_type) as campaign_type,
    min(contacts.started_date) as started_date,
    max(contacts.ended_date) as ended_date
from contacts
inner join as_of on contacts.started_date <= as_of.today
inner join people
    on
        contacts.customer_key = people.customer_key
        -- Who it was, as was known the evening before.
        and contacts.started_date > people.version_from
        and contacts.started_date <= people.version_to
group by
    contacts.source, contacts.source_campaign_id, people.customer_number, people.customer_id
