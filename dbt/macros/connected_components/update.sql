{#-
    Closes again over the components that changed edges touch, inside a transaction that it opens
    and the materialisation commits. Returns false, with nothing changed, when a rebuild is due.
-#}
{% macro closure_update(edges_sql, shape, target, kept) -%}
    {%- do adapter.ensure_transaction() -%}
    {%- set changes = closure_find_changes(edges_sql, shape, kept) -%}
    {%- if changes.is_many -%}
        {%- do adapter.commit() -%}
        {%- do return(false) -%}
    {%- elif not changes.is_any -%}
        {% call statement('main') -%}
            select 'no edge has changed' as outcome
        {%- endcall %}
        {%- do return(true) -%}
    {%- endif -%}
    {%- set has_clash = closure_find_touched(shape, target) -%}
    {%- set loose_shape = dict(shape, part='0') -%}
    {%- do closure_run([closure_table('loose', closure_loose_edges(edges_sql, changes))]) -%}
    {%- do closure_run([closure_table('renamed', closure_components(
        'select * from ' ~ closure_scratch('loose'), loose_shape))]) -%}
    {%- if has_clash or loose_shape.has_clash -%}
        {%- do adapter.commit() -%}
        {%- do return(false) -%}
    {%- endif -%}
    {%- do closure_write_renamed(shape, target) -%}
    {%- do closure_keep_changes(kept) -%}
    {%- do return(true) -%}
{%- endmacro %}


{#-
    Makes the scratch tables fresh, of the edges of changed parts, added (node_a, node_b) and removed
    (key_a, key_b).

    A part whose edges are as many as last time, with keys whose hashes have the same sum, is taken
    for unchanged: another has the same sum of 64-bit hashes once in 10^19. The edges of the others
    are compared one by one. Edges of part null cannot be told apart from others: all is rebuilt.
-#}
{% macro closure_find_changes(edges_sql, shape, kept) -%}
    {%- set fresh, parts = closure_scratch('fresh'), closure_scratch('parts') -%}
    {%- set added, removed = closure_scratch('added'), closure_scratch('removed') -%}
    {%- set parts_sql -%}
        select part
        from (
            {{ closure_tally('(' ~ closure_keyed(edges_sql, shape) ~ ')') }}
            union all
            select part, -edge_count, -key_sum from {{ kept.parts }}
        )
        group by part
        having sum(edge_count) <> 0 or sum(key_sum) <> 0
    {%- endset -%}
    {%- set was_sql -%}
        select part, key_a, key_b from {{ kept.edges }} where part in (select part from {{ parts }})
    {%- endset -%}
    {%- set many_sql -%}
        select
            exists (from {{ parts }} where part is null)
            or 10 * ((select count(*) from {{ added }}) + (select count(*) from {{ removed }}))
                > (select count(*) from {{ kept.edges }})
    {%- endset -%}
    {%- set counted = closure_fetch([
        closure_table('parts', parts_sql),
        closure_table('fresh', closure_keyed(edges_sql, shape)
            ~ ' and part in (select part from ' ~ parts ~ ')'),
        closure_table('was', was_sql),
        closure_table('added', 'select node_a, node_b from ' ~ fresh ~ ' anti join '
            ~ closure_scratch('was') ~ ' using (key_a, key_b)'),
        closure_table('removed', 'select key_a, key_b from ' ~ closure_scratch('was')
            ~ ' anti join ' ~ fresh ~ ' using (key_a, key_b)'),
        'select exists (from ' ~ parts ~ '), exists (from ' ~ removed ~ '), (' ~ many_sql ~ ')',
    ]) -%}
    {%- do return({'is_any': counted[0], 'is_any_removed': counted[1], 'is_many': counted[2]}) -%}
{%- endmacro %}


{#- By part, how many edges there are and what the hashes of their keys sum up to. -#}
{% macro closure_tally(keyed_edges) -%}
    select part, count(*) as edge_count, sum(hash(key_a, key_b)) as key_sum
    from {{ keyed_edges }}
    group by part
{%- endmacro %}


{#-
    Makes the scratch tables reopened, of the nodes whose component lost an edge and may fall apart,
    and names, of the other known ends of added edges: theirs stay in one piece. Returns whether two
    nodes share a hash.
-#}
{% macro closure_find_touched(shape, target) -%}
    {%- set reopened_sql -%}
        select rowid as row_number, node
        from {{ target }}
        where component in (
            select component
            from {{ target }}
            where {{ closure_key('node', shape) }} in (
                select key_a from {{ closure_scratch('removed') }}
                union
                select key_b from {{ closure_scratch('removed') }}
            )
        )
    {%- endset -%}
    {%- set found_sql -%}
        select node, component
        from {{ target }}
        where {{ closure_key('node', shape) }} in (select key from {{ closure_scratch('ends') }})
    {%- endset -%}
    {%- set names_sql -%}
        select node, component
        from {{ closure_scratch('found') }}
        where node not in (select node from {{ closure_scratch('reopened') }})
    {%- endset -%}
    {%- do return(closure_fetch([
        closure_table('reopened', reopened_sql),
        closure_table('ends', 'select node, ' ~ closure_key('node', shape) ~ ' as key from ('
            ~ closure_ends(closure_scratch('added')) ~ ')'),
        closure_table('found', found_sql),
        closure_table('names', names_sql),
        'select count(*) > 0 from ' ~ closure_scratch('found') ~ ' where node not in (select node'
        ~ ' from ' ~ closure_scratch('ends') ~ ')',
    ])[0]) -%}
{%- endmacro %}


{#-
    The edges to close over: those added, and all edges of reopened nodes. A component that stays in
    one piece is a single node here, its name.
-#}
{% macro closure_loose_edges(edges_sql, changes) -%}
    {%- set names = closure_scratch('names') -%}
    with loose as (
        select node_a, node_b from {{ closure_scratch('added') }}
        {%- if changes.is_any_removed %}
        union all
        select node_a, node_b
        from ({{ edges_sql }})
        where
            node_b is not null
            and node_a in (select node from {{ closure_scratch('reopened') }})
        {%- endif %}
    ),
    half as materialized (
        select coalesce(names.component, loose.node_a) as node_a, loose.node_b
        from loose left join {{ names }} as names on loose.node_a = names.node
    )
    select half.node_a, coalesce(names.component, half.node_b) as node_b
    from half left join {{ names }} as names on half.node_b = names.node
{%- endmacro %}


{#-
    Writes the rows of the components that have another name now, and those of loose nodes. Numbers
    are overwritten where they stand; for text, replacing the rows costs half.
-#}
{% macro closure_write_renamed(shape, target) -%}
    {%- set is_name = 'in (select component from ' ~ closure_scratch('names') ~ ')' -%}
    {%- set outdated, reopened = closure_scratch('outdated'), closure_scratch('reopened') -%}
    {%- set statements = [
        closure_table('outdated', 'select node, component from ' ~ closure_scratch('renamed')
            ~ ' where node <> component and node ' ~ is_name),
    ] -%}
    {%- if shape.is_integer -%}
        {%- do statements.extend([
            'delete from ' ~ target ~ ' where rowid in (select row_number from ' ~ reopened ~ ')',
            'update ' ~ target ~ ' as label set component = outdated.component from ' ~ outdated
            ~ ' as outdated where label.component = outdated.node',
        ]) -%}
    {%- else -%}
        {%- do statements.extend([
            closure_table('stale', 'select label.rowid as row_number, label.node,'
                ~ ' outdated.component from ' ~ target ~ ' as label inner join ' ~ outdated
                ~ ' as outdated on label.component = outdated.node'),
            'delete from ' ~ target ~ ' where rowid in (select row_number from '
            ~ closure_scratch('stale') ~ ' union all select row_number from ' ~ reopened ~ ')',
            'insert into ' ~ target ~ ' select node, component from ' ~ closure_scratch('stale'),
        ]) -%}
    {%- endif -%}
    {%- do closure_run(statements) -%}
    {% call statement('main') -%}
        insert into {{ target }}
        select node, component from {{ closure_scratch('renamed') }} where not node {{ is_name }}
    {%- endcall %}
{%- endmacro %}


{% macro closure_keep_changes(kept) -%}
    {%- set fresh = closure_scratch('fresh') -%}
    {%- set changed = ' where part in (select part from ' ~ closure_scratch('parts') ~ ')' -%}
    {%- do closure_run([
        'delete from ' ~ kept.edges ~ changed,
        'insert into ' ~ kept.edges ~ ' select part, key_a, key_b from ' ~ fresh,
        'delete from ' ~ kept.parts ~ changed,
        'insert into ' ~ kept.parts ~ ' ' ~ closure_tally(fresh),
    ]) -%}
{%- endmacro %}
