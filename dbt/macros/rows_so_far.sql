{#- What an incremental model has before this run: in its first, no row of these columns. -#}
{% macro rows_so_far(types) -%}
    {%- set columns = [] -%}
    {%- for column, type in types.items() -%}
        {%- do columns.append('cast(null as ' ~ type ~ ') as ' ~ column) -%}
    {%- endfor -%}
    {%- if is_incremental() -%}
        select * from {{ this }}
    {%- else -%}
        select {{ columns | join(', ') }} where false
    {%- endif -%}
{%- endmacro %}
