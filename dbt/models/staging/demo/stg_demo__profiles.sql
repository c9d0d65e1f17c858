with crm_members as (
    select * from {{ source('demo', 'crm_members') }}
),

web_orders as (
    select * from {{ source('demo', 'web_orders') }}
)

select
    'demo' as source,
    'demo.crm_members' as entity,
    profile_id as record_id,
    member_id_pseudonym as customer_key,
    'customer_id' as customer_key_type,
    updated_at as seen_at,
    is_email_verified as is_verified,
    name_pseudonym as name,
    cast(null as varchar) as given_name,
    cast(null as varchar) as surname,
    birth_date_pseudonym as birth_date,
    address_pseudonym as address,
    postcode_pseudonym as postcode,
    cast(null as varchar) as city,
    company_pseudonym as company,
    email_pseudonym as email,
    phone_pseudonym as phone
from crm_members

union all

select
    'demo' as source,
    'demo.web_orders' as entity,
    order_id as record_id,
    coalesce(login_pseudonym, email_pseudonym, phone_pseudonym) as customer_key,
    case
        when login_pseudonym is not null then 'login'
        when email_pseudonym is not null then 'email'
        when phone_pseudonym is not null then 'phone'
    end as customer_key_type,
    ordered_at as seen_at,
    false as is_verified,
    recipient_name_pseudonym as name,
    null as given_name,
    null as surname,
    null as birth_date,
    address_pseudonym as address,
    postcode_pseudonym as postcode,
    null as city,
    null as company,
    email_pseudonym as email,
    phone_pseudonym as phone
from web_orders
