{#- Stack relations of one shape; a column that a relation lacks is null in its rows. -#}
{% macro union_by_name(relations) -%}
    {%- for relation in relations %}
        {%- if not loop.first %}
    union all by name
        {%- endif %}
    select * from {{ relation }}
    {%- endfor %}
{%- endmacro %}
