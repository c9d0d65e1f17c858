with campaigns as (
    select * from {{ source('complete_journey', 'campaigns') }}
),

campaign_descriptions as (
    select * from {{ source('complete_journey', 'campaign_descriptions') }}
)

select
    'complete_journey' as source,
    cast(campaigns.campaign_id as varchar) as source_campaign_id,
    campaign_descriptions.campaign_type,
    campaigns.household_id_pseudonym as customer_key,
    'customer_id' as customer_key_type,
    'mail' as channel,
    campaign_descriptions.start_date as started_date,
    campaign_descriptions.end_date as ended_date
from campaigns
left join campaign_descriptions on campaigns.campaign_id = campaign_descriptions.campaign_id
