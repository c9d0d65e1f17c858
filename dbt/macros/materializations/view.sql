{#
A view, in the one statement that DuckDB has for it.

dbt's own way makes the view under another name, moves the old one out of the way, renames and drops:
nine statements, for half of the models, in every run.
#}
{% materialization view, adapter='duckdb' %}
  {%- set target = this.incorporate(type='view') -%}
  {%- set existing = load_cached_relation(this) -%}

  {{ run_hooks(pre_hooks) }}
  {%- if existing is not none and not existing.is_view %}
    {{ drop_relation_if_exists(existing) }}
  {%- endif %}
  {% call statement('main') -%}
    {%- if config.get('contract').enforced %}
      {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    create or replace view {{ target }} as (
      {{ sql }}
    )
  {%- endcall %}
  {% do persist_docs(target, model) %}
  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}
