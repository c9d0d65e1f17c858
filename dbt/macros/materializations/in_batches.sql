{#
A table made some days at a time, so that a large company's takes the memory and disk of some days.

One statement over all days would sort and join all rows together: at a million customers many times
the table's size, spilled to disk. A small company's days are one batch, which is one statement.
All batches are one transaction: until its end, and after a batch that fails, the old rows stand.

  batch_day      the model's column by whose days it is parted; the engine has to be able to push a
                 condition on it down to the rows that the model reads
  batch_counts   macro that returns a query of `day` and `row_count`: the days that are to be made
  batch_rows     so many of these rows are a batch, or those of one day
  kept           macro that returns a condition on the rows of the last run that stay; without one
                 all are made again
#}
{% materialization in_batches, adapter='duckdb' %}
  {%- set target = this.incorporate(type='table') -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set kept = config.get('kept') -%}

  {{ run_hooks(pre_hooks) }}
  {#- Also where old rows stay: else a column that only the SQL has is told as one the table lacks. -#}
  {%- if config.get('contract').enforced %}
    {%- do get_assert_columns_equivalent(sql) %}
  {%- endif %}
  {%- if existing is not none and not existing.is_table %}
    {{ drop_relation_if_exists(existing) }}
  {%- endif %}
  {%- if existing is none or not existing.is_table or kept is none or should_full_refresh() %}
    {%- call statement('main') %}
      {{ empty_table(target) }}
    {%- endcall %}
  {%- else %}
    {%- call statement('main') %}
      delete from {{ target }} where not coalesce({{ context[kept]() }}, false)
    {%- endcall %}
  {%- endif %}
  {%- set day = config.require('batch_day') -%}
  {%- for first, last in batches(context[config.require('batch_counts')]()) %}
    {% do run_query(
      'insert into ' ~ target ~ ' by name select * from (' ~ sql ~ ') where ' ~ day
      ~ " between date '" ~ first ~ "' and date '" ~ last ~ "'"
    ) %}
  {%- endfor %}
  {% do persist_docs(target, model) %}
  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#-
    Made by its columns, never by a select without rows: DuckDB 2.0 then hides what the transaction
    inserts next. Joins and conditions find no row of it until the database is opened again.
-#}
{% macro empty_table(target) -%}
  {%- if config.get('contract').enforced %}
    create or replace table {{ target }} {{ get_table_columns_and_constraints() }}
  {%- else %}
    create or replace table {{ target }} (
      {%- for row in run_query('describe ' ~ sql).rows %}
        "{{ row[0] }}" {{ row[1] }}{{ ',' if not loop.last }}
      {%- endfor %}
    )
  {%- endif %}
{%- endmacro %}


{#- First and last day of each batch. -#}
{% macro batches(counts) -%}
  {%- set found = run_query(
    'select min(day), max(day) from (select day, (sum(row_count) over (order by day) - 1) // '
    ~ config.require('batch_rows') ~ ' as batch from (' ~ counts
    ~ ')) group by batch order by batch'
  ) -%}
  {{ return(found.rows) }}
{%- endmacro %}
