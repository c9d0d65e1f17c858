{#
What the yml says of a table and of its columns, as comments, in one statement.

dbt's own way asks the database twice which of the columns are there; the contract has told that.
#}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) %}
  {%- if config.persist_relation_docs() and config.persist_column_docs() %}
    {% call statement('comments') %}
      comment on {{ relation.type }} {{ relation }} is {{ duckdb_escape_comment(model.description) }};
      {%- for name, column in model.columns.items() %}
      comment on column {{ relation }}.{{ name }} is {{ duckdb_escape_comment(column.description) }};
      {%- endfor %}
    {% endcall %}
  {%- endif %}
{% endmacro %}
