{{ config(materialized='table') }}
{%- set fields = ['name', 'birth_date', 'address', 'postcode', 'company', 'email', 'phone'] -%}
with chosen as (
    select * from {{ ref('int_people__golden_fields_chosen') }}
)

select
    {%- for field in fields %}
        max(pseudonym) filter (where field = '{{ field }}') as {{ field }}_pseudonym,
        max(source) filter (where field = '{{ field }}') as {{ field }}_source,
    {%- endfor %}
    person_id
from chosen
group by person_id
