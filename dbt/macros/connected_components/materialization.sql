{#-
    Materialisation `connected_components`: from edges to the groups they connect, however long the
    chains are.

    A model selects edges as `node_a`, `node_b` of one type. Both directions, duplicates and
    self-loops are welcome; an edge from a node to itself names a node that has no other, and an
    edge with a null end is no edge. The table made has one row per node: `node`, `component`, where
    a component is named by its least node. So the table is a function of the set of edges alone:
    neither their order nor the way they were closed over shows in it. Attach the test `closes_over`.

    With `incremental=true` only the components that a changed edge touches are closed over again
    (update.sql); edges may come and go as they like, and the rows are those of a full rebuild. The
    edges of the last time are kept as keys in `<model>__closed_over`. A model may select `part`
    too: any value that sorts old edges from new ones, such as the month an edge was first seen.
    Only parts whose edges do not add up to what they did (`<model>__closed_parts`) are compared
    edge by edge, so a part says where to look and decides nothing.

    A rebuild is what `--full-refresh` does, and what happens when more than a tenth changed.
-#}
{% materialization connected_components, adapter='duckdb' %}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set kept = {
        'edges': this.incorporate(path={'identifier': this.identifier ~ '__closed_over'}),
        'parts': this.incorporate(path={'identifier': this.identifier ~ '__closed_parts'}),
    } -%}
    {%- set is_incremental = config.get('incremental', false) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set shape = closure_shape(compiled_code) -%}
    {%- set is_updated = is_incremental and not should_full_refresh()
        and closure_knows(shape, existing_relation, kept)
        and closure_update(compiled_code, shape, target_relation, kept) -%}
    {%- if not is_updated -%}
        {%- do closure_rebuild(
            compiled_code, shape, existing_relation, target_relation, kept, is_incremental) -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=not is_updated) %}
    {% do persist_docs(target_relation, model) %}
    {{ adapter.commit() }}

    {% do closure_drop_scratch() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- What the model selects: the type of its nodes, and whether it says which part an edge is of. -#}
{% macro closure_shape(edges_sql) -%}
    {%- set types = closure_types('select * from (' ~ edges_sql ~ ')') -%}
    {%- if 'node_a' not in types or types['node_a'] != types.get('node_b') -%}
        {%- do exceptions.raise_compiler_error(
            this ~ ': a connected_components model selects node_a and node_b of one type, not '
            ~ types) -%}
    {%- endif -%}
    {%- do return({
        'type': types['node_a'],
        'is_integer': types['node_a'] in ('BIGINT', 'INTEGER', 'SMALLINT', 'TINYINT'),
        'part': 'part' if 'part' in types else '0',
        'part_type': types.get('part', 'INTEGER'),
        'has_clash': false,
    }) -%}
{%- endmacro %}


{#- Whether the tables of the last time were made from edges of this shape. -#}
{% macro closure_knows(shape, existing_relation, kept) -%}
    {%- if existing_relation is none or not existing_relation.is_table
        or load_cached_relation(kept.edges) is none or load_cached_relation(kept.parts) is none -%}
        {%- do return(false) -%}
    {%- endif -%}
    {%- set key_type = shape.type if shape.is_integer else 'UBIGINT' -%}
    {%- do return(
        closure_types(existing_relation) == {'node': shape.type, 'component': shape.type}
        and closure_types(kept.edges)
        == {'part': shape.part_type, 'key_a': key_type, 'key_b': key_type}) -%}
{%- endmacro %}


{#- Column → type, of a table or a query. -#}
{% macro closure_types(what) -%}
    {%- set types = {} -%}
    {%- for row in run_query('describe ' ~ what).rows -%}
        {%- do types.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {%- do return(types) -%}
{%- endmacro %}


{#-
    Closes over all edges. The groups are replaced in the transaction that the materialisation
    commits: whoever pulls the plug before finds the old ones, and without the sums of their parts,
    so that all is closed over again. Scratch tables that are dropped in a transaction would keep
    their memory to its end: the closing comes before it.
-#}
{% macro closure_rebuild(edges_sql, shape, existing_relation, target, kept, is_incremental) -%}
    {%- do closure_run(
        ['drop table if exists ' ~ kept.parts, 'drop table if exists ' ~ kept.edges]) -%}
    {%- set components_sql = closure_components(
        edges_sql, shape, kept.edges if is_incremental else none) -%}
    {%- do adapter.ensure_transaction() -%}
    {%- if existing_relation is not none and not existing_relation.is_table -%}
        {%- do adapter.drop_relation(existing_relation) -%}
    {%- endif -%}
    {#- Pseudonyms do not compress, and trying to took a quarter of the time. -#}
    {%- set stored = shape.type ~ (
        ' using compression uncompressed' if shape.is_integer or shape.type == 'VARCHAR' else '') -%}
    {%- do closure_run([
        'create or replace table ' ~ target ~ ' (node ' ~ stored ~ ', component ' ~ stored ~ ')'
    ]) -%}
    {% call statement('main') -%}
        insert into {{ target }}
        {{ components_sql }}
    {%- endcall %}
    {%- do create_indexes(target) -%}
    {%- if is_incremental and not shape.has_clash -%}
        {%- do closure_run(['create table ' ~ kept.parts ~ ' as ' ~ closure_tally(kept.edges)]) -%}
    {%- endif -%}
{%- endmacro %}
