{#- A count or sum of a source that began at a day: null before, and zero when nothing happened. -#}
{% macro known_since(value, first_date) -%}
    if({{ first_date }} <= snapshots.as_of_date, coalesce({{ value }}, 0), null)
{%- endmacro %}
