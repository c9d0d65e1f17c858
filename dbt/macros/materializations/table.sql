{#
A table, made in the place of the old one within one transaction: readers see the one or the other.

dbt's own way makes the table under another name, moves the old one out of the way, renames, and drops:
ten statements, and a look for indexes and foreign keys, which no table of this warehouse has.
#}
{% materialization table, adapter='duckdb' %}
  {%- set target = this.incorporate(type='table') -%}
  {%- set existing = load_cached_relation(this) -%}

  {{ run_hooks(pre_hooks) }}
  {%- if existing is not none and not existing.is_table %}
    {{ drop_relation_if_exists(existing) }}
  {%- endif %}
  {% call statement('main') -%}
    {%- if config.get('contract').enforced %}
      {{ get_assert_columns_equivalent(sql) }}
      create or replace table {{ target }} {{ get_table_columns_and_constraints() }};
      insert into {{ target }} {{ get_column_names() }} (
        {{ get_select_subquery(sql) }}
      )
    {%- else %}
      create or replace table {{ target }} as (
        {{ sql }}
      )
    {%- endif %}
  {%- endcall %}
  {% do persist_docs(target, model) %}
  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}
