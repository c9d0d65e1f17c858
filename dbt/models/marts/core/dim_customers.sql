with people as (
    select * from {{ ref('person_identifiers') }}
),

customer_days as (
    select * from {{ ref('int_orders__customer_days_aggregated') }}
),

demographics as (
    select * from {{ ref('int_people__demographics_unioned') }}
),

contacts as (
    select * from {{ ref('fct_campaign_contacts') }}
),

golden as (
    select * from {{ ref('int_people__golden_profiles_pivoted') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

customers as (
    select
        person_id as customer_id,
        string_agg(distinct source, ', ' order by source) as sources
    from people
    group by person_id
),

purchases as (
    select
        customer_id,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        cast(sum(purchase_count) as bigint) as order_count
    from customer_days
    where purchase_count > 0
    group by customer_id
),

-- A person described twice keeps one description whole, the first by source and key.
described as (
    select
        people.person_id as customer_id,
        demographics.*
    from demographics
    inner join people on demographics.customer_key = people.pseudonym
    qualify row_number() over (
        partition by people.person_id
        order by demographics.source, demographics.customer_key
    ) = 1
),

mailed as (
    select distinct contacts.customer_id
    from contacts
    inner join as_of on contacts.started_date <= as_of.as_of_date
    where contacts.channel = 'mail'
)

select
    customers.customer_id,
    purchases.first_order_date,
    purchases.last_order_date,
    coalesce(purchases.order_count, 0) as order_count,
    described.age_band,
    described.income_band,
    described.home_ownership,
    described.marital_status,
    described.household_size,
    described.household_composition,
    described.kids_count,
    mailed.customer_id is not null as is_contactable_by_mail,
    customers.sources,
    golden.name_pseudonym,
    golden.name_source,
    golden.given_name_pseudonym,
    golden.given_name_source,
    golden.surname_pseudonym,
    golden.surname_source,
    golden.birth_date_pseudonym,
    golden.birth_date_source,
    golden.address_pseudonym,
    golden.address_source,
    golden.postcode_pseudonym,
    golden.postcode_source,
    golden.city_pseudonym,
    golden.city_source,
    golden.company_pseudonym,
    golden.company_source,
    golden.email_pseudonym,
    golden.email_source,
    golden.phone_pseudonym,
    golden.phone_source
from customers
left join purchases on customers.customer_id = purchases.customer_id
left join described on customers.customer_id = described.customer_id
left join mailed on customers.customer_id = mailed.customer_id
left join golden on customers.customer_id = golden.person_id
