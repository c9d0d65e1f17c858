{{ config(materialized='table') }}
{%- set fields = [
    'name', 'given_name', 'surname', 'birth_date', 'address', 'postcode', 'city', 'company', 'email',
    'phone',
] -%}
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
