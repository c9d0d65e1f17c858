{#- The calendar day of a UTC timestamp in the business's zone. -#}
{% macro business_date(utc_timestamp, zone) -%}
    cast({{ utc_timestamp }} at time zone 'UTC' at time zone {{ zone }} as date)
{%- endmacro %}
