{#- A temporary table of this model; dbt's threads share none. -#}
{% macro closure_scratch(name) -%}
    "temp"."main"."{{ model['alias'] }}__closure_{{ name }}"
{%- endmacro %}


{% macro closure_table(name, sql) -%}
    create or replace temp table {{ closure_scratch(name) }} as {{ sql }}
{%- endmacro %}


{#- Runs statements in one go: each call through dbt costs some milliseconds, ... -#}
{% macro closure_run(statements) -%}
    {%- call statement(auto_begin=false) -%}
        {{ statements | join(';\n') }}
    {%- endcall -%}
{%- endmacro %}


{#- ... and more if it fetches. Returns the last one's first row: of a new table, how many it has. -#}
{% macro closure_fetch(statements) -%}
    {%- do return(run_query(statements | join(';\n')).rows[0]) -%}
{%- endmacro %}


{% macro closure_drop_scratch() -%}
    {%- set scratch = run_query(
        "select 'drop table \"temp\".\"main\".\"' || table_name || '\"' from duckdb_tables()"
        ~ " where database_name = 'temp' and starts_with(table_name, '" ~ model['alias']
        ~ "__closure_')") -%}
    {%- do closure_run(scratch.columns[0].values()) -%}
{%- endmacro %}
