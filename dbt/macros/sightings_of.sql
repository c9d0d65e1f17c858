{#-
    One row per combination of identifiers that an entity's records show together. `shown` maps each
    type of identifier to its column, as `sources.yml` names both; records that show none are left out.
-#}
{% macro sightings_of(source_name, entity, record_id, first_at, last_at, shown) -%}
    {%- set columns = [] %}
    {%- for column in shown.values() %}
        {%- do columns.append(column ~ '_pseudonym') %}
    {%- endfor %}
    select
        '{{ source_name }}' as source,
        '{{ source_name }}.{{ entity }}' as entity,
        cast(arg_min({{ record_id }}, ({{ first_at }}, {{ record_id }})) as varchar) as record_id,
        count(*) as record_count,
        min({{ first_at }}) as first_seen_at,
        max({{ last_at }}) as last_seen_at
        {%- for type in [
            'customer_id', 'login', 'loyalty_card', 'email', 'phone', 'device', 'cookie'
        ] %}
        {%- set column = shown[type] ~ '_pseudonym' if type in shown else 'cast(null as varchar)' %},
        {{ column }} as {{ type }}
        {%- endfor %}
    from {{ source(source_name, entity) }}
    where not ({{ columns | join(' is null and ') }} is null)
    group by {{ columns | join(', ') }}
{%- endmacro %}
