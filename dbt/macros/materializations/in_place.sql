{#
A view or a table, made in the place of the old one within one transaction: readers see one of both.

dbt's own way makes each under another name, looks for indexes and foreign keys, which nothing here
has, moves the old one out of the way, renames, and drops: ten statements, in every run.
#}
{% materialization view, adapter='duckdb' %}
  {{ return(made_in_place('view', sql)) }}
{% endmaterialization %}


{% materialization table, adapter='duckdb' %}
  {{ return(made_in_place('table', sql)) }}
{% endmaterialization %}


{% macro made_in_place(kind, sql) %}
  {%- set target = this.incorporate(type=kind) -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set is_contracted = config.get('contract').enforced -%}

  {{ run_hooks(pre_hooks) }}
  {%- if existing is not none and existing.type != kind %}
    {{ drop_relation_if_exists(existing) }}
  {%- endif %}
  {% call statement('main') -%}
    {%- if is_contracted %}
      {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    {%- if is_contracted and kind == 'table' %}
      create or replace table {{ target }} {{ get_table_columns_and_constraints() }};
      insert into {{ target }} {{ get_column_names() }} (
        {{ get_select_subquery(sql) }}
      )
    {%- else %}
      create or replace {{ kind }} {{ target }} as (
        {{ sql }}
      )
    {%- endif %}
  {%- endcall %}
  {% do persist_docs(target, model) %}
  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{% endmacro %}
