{#-
    Materialisation `connected_components`: from edges to the groups they connect, however long the
    chains are.

    A model selects edges as `node_a`, `node_b` of one type. Both directions, duplicates and
    self-loops are welcome; an edge from a node to itself names a node that has no other, and an
    edge with a null end is no edge. The table made has one row per node: `node`, `component`, where
    a component is named by its least node. So the table is a function of the set of edges alone:
    neither their order nor the way they were closed over shows in it. Attach the test `closes_over`.

    With `incremental=true` only the components that a changed edge touches are closed over again;
    the rows are those of a full rebuild. What changed is found in one of two ways:

    - A model of `node_a` and `node_b` is compared with the edges of the last time, kept as pairs of
      hashes in `<model>__closed_over`. Edges may come and go as they like.
    - A model that selects `changed` as well (a load number, a time) promises that rows are only
      ever added, each above all before it. Then only the rows above the last one are read. When the
      rows below it are not as many, or not of the same numbers, as last time, all is rebuilt.

    A rebuild is also what `--full-refresh` does, and what happens when more than a tenth changed.
-#}
{% materialization connected_components, adapter='duckdb' %}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set kept_relation = this.incorporate(
        path={'identifier': this.identifier ~ '__closed_over'}, type='table') -%}
    {%- set kept_before = load_cached_relation(kept_relation) -%}
    {%- set is_incremental = config.get('incremental', false) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set shape = closure_shape(compiled_code) -%}
    {%- set is_updated = is_incremental and not should_full_refresh()
        and closure_knows(shape, existing_relation, kept_before)
        and closure_update(compiled_code, shape, target_relation, kept_relation) -%}
    {%- if not is_updated -%}
        {%- do closure_rebuild(
            compiled_code, shape, existing_relation, target_relation, kept_relation,
            is_incremental) -%}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=not is_updated) %}
    {% do persist_docs(target_relation, model) %}
    {{ adapter.commit() }}

    {% do closure_drop_scratch() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- What the model selects: the type of its nodes, and whether its rows are numbered. -#}
{% macro closure_shape(edges_sql) -%}
    {%- set types = {} -%}
    {%- for row in run_query('describe select * from (' ~ edges_sql ~ ')').rows -%}
        {%- do types.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {%- if 'node_a' not in types or types['node_a'] != types.get('node_b') -%}
        {%- do exceptions.raise_compiler_error(
            this ~ ': a connected_components model selects node_a and node_b of one type, not '
            ~ types) -%}
    {%- endif -%}
    {%- do return({
        'type': types['node_a'],
        'is_integer': types['node_a'] in ('BIGINT', 'INTEGER', 'SMALLINT', 'TINYINT'),
        'is_numbered': 'changed' in types,
        'has_clash': false,
    }) -%}
{%- endmacro %}


{#- Whether the tables of the last time were made from edges of this shape. -#}
{% macro closure_knows(shape, existing_relation, kept_relation) -%}
    {%- if existing_relation is none or not existing_relation.is_table or kept_relation is none -%}
        {%- do return(false) -%}
    {%- endif -%}
    {%- set columns_sql -%}
        select string_agg(column_name || ' ' || data_type, ', ' order by column_index)
        from duckdb_columns()
        where database_name = '{{ this.database }}' and schema_name = '{{ this.schema }}'
        and table_name = '%s'
    {%- endset -%}
    {%- set found = closure_fetch(['select (' ~ (columns_sql | replace('%s', this.identifier))
        ~ '), (' ~ (columns_sql | replace('%s', kept_relation.identifier)) ~ ')']) -%}
    {%- do return(
        found[0] == 'node ' ~ shape.type ~ ', component ' ~ shape.type
        and found[1].startswith('changed ' if shape.is_numbered else 'key_a ')) -%}
{%- endmacro %}


{#-
    Closes over all edges. The tables are replaced in one transaction, which the materialisation
    commits: whoever pulls the plug before finds the old ones.
-#}
{% macro closure_rebuild(edges_sql, shape, existing_relation, target, kept, is_incremental) -%}
    {%- set components_sql = closure_components(
        edges_sql, shape, with_pairs=is_incremental and not shape.is_numbered) -%}
    {%- do adapter.ensure_transaction() -%}
    {%- if existing_relation is not none and not existing_relation.is_table -%}
        {%- do adapter.drop_relation(existing_relation) -%}
    {%- endif -%}
    {#- Pseudonyms do not compress, and trying to took a quarter of the time. -#}
    {%- set stored = shape.type ~ (
        ' using compression uncompressed' if shape.is_integer or shape.type == 'VARCHAR' else '') -%}
    {%- do closure_run([
        'create or replace table ' ~ target ~ ' (node ' ~ stored ~ ', component ' ~ stored ~ ')',
        'drop table if exists ' ~ kept,
    ]) -%}
    {% call statement('main') -%}
        insert into {{ target }}
        {{ components_sql }}
    {%- endcall %}
    {%- do create_indexes(target) -%}
    {#- Two nodes of one hash cannot be told apart in what is kept, so then nothing is. -#}
    {%- if is_incremental and not shape.has_clash -%}
        {%- do closure_run(['create table ' ~ kept ~ ' as ' ~ (
            closure_last_number(edges_sql) if shape.is_numbered
            else 'select * from ' ~ closure_scratch('pairs'))]) -%}
    {%- endif -%}
{%- endmacro %}


{#- What an incremental model remembers: the last number, and what stood at or below it ... -#}
{% macro closure_last_number(edges_sql) -%}
    select max(changed) as changed, count(*) as row_count, sum(hash(changed)) as number_sum
    from ({{ edges_sql }})
{%- endmacro %}


{#- ... or, without numbers, the edges as pairs of keys, each once. -#}
{% macro closure_pairs(keyed_edges) -%}
    select distinct least(key_a, key_b) as key_a, greatest(key_a, key_b) as key_b
    from {{ keyed_edges }}
{%- endmacro %}


{#-
    Closes again over the components that changed edges touch, inside a transaction that it opens
    and the materialisation commits. Returns false, with nothing changed, when a rebuild is due.
-#}
{% macro closure_update(edges_sql, shape, target, kept) -%}
    {%- do adapter.ensure_transaction() -%}
    {%- set changes = closure_find_changes(edges_sql, shape, kept) -%}
    {%- if changes is none -%}
        {%- do adapter.commit() -%}
        {%- do return(false) -%}
    {%- elif changes.count == 0 -%}
        {% call statement('main') -%}
            select 'no edge has changed' as outcome
        {%- endcall %}
        {%- do return(true) -%}
    {%- endif -%}
    {%- set added, removed = closure_scratch('added'), closure_scratch('removed') -%}
    {%- set reopened, names = closure_scratch('reopened'), closure_scratch('names') -%}
    {%- set renamed, stale = closure_scratch('renamed'), closure_scratch('stale') -%}

    {#- A component that lost an edge may fall apart: its nodes are closed over one by one. -#}
    {%- set reopened_sql -%}
        select label.node, label.component
        from {{ target }} as label
        where label.component in (
            select lost.component
            from {{ target }} as lost
            where {{ closure_key('lost.node', shape) }} in (
                select key_a from {{ removed }} union select key_b from {{ removed }}
            )
        )
    {%- endset -%}
    {#- Any other that gained an edge stays in one piece: its name stands for its nodes. -#}
    {%- set found_sql -%}
        select label.node, label.component, ends.node is null as is_clash
        from {{ target }} as label
        left join ({{ closure_ends(added) }}) as ends on label.node = ends.node
        where
            {{ closure_key('label.node', shape) }} in (
                select {{ closure_key('node', shape) }} from ({{ closure_ends(added) }})
            )
    {%- endset -%}
    {%- set names_sql -%}
        select node, component
        from {{ closure_scratch('found') }}
        where not is_clash and node not in (select node from {{ reopened }})
    {%- endset -%}
    {%- set clash_count = closure_fetch([
        closure_table('reopened', reopened_sql),
        closure_table('found', found_sql),
        closure_table('names', names_sql),
        'select count(*) from ' ~ closure_scratch('found') ~ ' where is_clash',
    ])[0] -%}

    {%- set bridges_sql -%}
        with loose as (
            select node_a, node_b from {{ added }}
            {%- if changes.removed %}
            union all
            select node_a, node_b
            from ({{ edges_sql }})
            where node_b is not null and node_a in (select node from {{ reopened }})
            {%- endif %}
        ),
        half as materialized (
            select coalesce(names.component, loose.node_a) as node_a, loose.node_b
            from loose left join {{ names }} as names on loose.node_a = names.node
        )
        select half.node_a, coalesce(names.component, half.node_b) as node_b
        from half left join {{ names }} as names on half.node_b = names.node
    {%- endset -%}
    {%- do closure_run([closure_table('renamed', closure_components(bridges_sql, shape))]) -%}
    {%- if shape.has_clash or clash_count -%}
        {%- do adapter.commit() -%}
        {%- do return(false) -%}
    {%- endif -%}

    {%- set stale_sql -%}
        select label.rowid as row_number, label.node, label.component
        from {{ target }} as label
        where label.component in (
            select component from {{ reopened }}
            union
            select node from {{ renamed }}
            where node <> component and node in (select component from {{ names }})
        )
    {%- endset -%}
    {%- do closure_run([
        closure_table('stale', stale_sql),
        'delete from ' ~ target ~ ' where rowid in (select row_number from ' ~ stale ~ ')',
    ]) -%}
    {% call statement('main') -%}
        insert into {{ target }}
        select stale.node, renamed.component
        from {{ stale }} as stale
        inner join {{ renamed }} as renamed on stale.component = renamed.node
        where renamed.node in (select component from {{ names }})
        union all
        select node, component
        from {{ renamed }}
        where node not in (select component from {{ names }})
    {%- endcall %}
    {%- do closure_keep_changes(edges_sql, shape, kept) -%}
    {%- do return(true) -%}
{%- endmacro %}


{#-
    Makes the scratch tables added (node_a, node_b) and removed (key_a, key_b). Returns how many
    rows both and the second have; none when a rebuild is cheaper, or the edges are not what the
    model promised.
-#}
{% macro closure_find_changes(edges_sql, shape, kept) -%}
    {%- if shape.is_numbered -%}
        {%- set same_sql -%}
            select
                (select row_count from {{ kept }}) = count(*) filter (where is_old)
                and (select number_sum from {{ kept }})
                    = sum(hash(changed)) filter (where is_old)
                and count(is_old) = count(*),
                count(*) filter (where is_old)
            from (
                select changed, changed <= (select changed from {{ kept }}) as is_old
                from ({{ edges_sql }})
            )
        {%- endset -%}
        {%- set same = run_query(same_sql).rows[0] -%}
        {%- if not same[0] -%}
            {%- do return(none) -%}
        {%- endif -%}
        {%- set known_count = same[1] -%}
        {%- set changed_sql -%}
            select node_a, node_b, null as key_a, null as key_b
            from ({{ edges_sql }})
            where changed > (select changed from {{ kept }})
        {%- endset -%}
    {%- else -%}
        {%- set known_count = run_query('select count(*) from ' ~ kept).rows[0][0] -%}
        {%- set changed_sql -%}
            select edge.node_a, edge.node_b, kept.key_a, kept.key_b
            from ({{ closure_keyed(edges_sql, shape) }}) as edge
            full join {{ kept }} as kept
                on
                    least(edge.key_a, edge.key_b) = kept.key_a
                    and greatest(edge.key_a, edge.key_b) = kept.key_b
            where edge.key_a is null or kept.key_a is null
        {%- endset -%}
    {%- endif -%}
    {%- set changed = closure_scratch('changed') -%}
    {%- set counted = closure_fetch([
        closure_table('changed', changed_sql),
        closure_table('added', 'select node_a, node_b from ' ~ changed
            ~ ' where node_a is not null and node_b is not null'),
        closure_table('removed', 'select key_a, key_b from ' ~ changed
            ~ ' where key_a is not null'),
        'select count(*), count(key_a) from ' ~ changed,
    ]) -%}
    {%- do return(
        {'count': counted[0], 'removed': counted[1]} if 10 * counted[0] <= known_count else none) -%}
{%- endmacro %}


{% macro closure_keep_changes(edges_sql, shape, kept) -%}
    {%- if shape.is_numbered -%}
        {%- do closure_run([
            'delete from ' ~ kept,
            'insert into ' ~ kept ~ ' ' ~ closure_last_number(edges_sql),
        ]) -%}
    {%- else -%}
        {%- do closure_run([
            'delete from ' ~ kept ~ ' as kept using ' ~ closure_scratch('removed') ~ ' as removed '
            ~ 'where kept.key_a = removed.key_a and kept.key_b = removed.key_b',
            'insert into ' ~ kept ~ ' ' ~ closure_pairs(
                '(' ~ closure_keyed('select * from ' ~ closure_scratch('added'), shape) ~ ')'),
        ]) -%}
    {%- endif -%}
{%- endmacro %}


{#- A query of the nodes that a scratch table of edges names. -#}
{% macro closure_ends(edges) -%}
    select node_a as node from {{ edges }} union select node_b from {{ edges }}
{%- endmacro %}


{#-
    A number for a node. An integer is its own; anything else is hashed. Whether two nodes share a
    hash is looked at wherever nodes are hashed, and then another hash is tried.
-#}
{% macro closure_key(node, shape, attempt=0) -%}
    {%- if shape.is_integer -%}
        {{ node }}
    {%- elif attempt == 0 -%}
        hash({{ node }})
    {%- else -%}
        hash('{{ attempt }}:' || cast({{ node }} as varchar))
    {%- endif -%}
{%- endmacro %}


{#- The edges, and the keys of their ends. -#}
{% macro closure_keyed(edges_sql, shape, attempt=0) -%}
    select
        node_a,
        node_b,
        {{ closure_key('node_a', shape, attempt) }} as key_a,
        {{ closure_key('node_b', shape, attempt) }} as key_b
    from ({{ edges_sql }})
    where node_a is not null and node_b is not null
{%- endmacro %}


{#-
    Closes over the edges in scratch tables; returns the query of the nodes and their components.
    With pairs, the scratch table of that name holds what `closure_pairs` says.
-#}
{% macro closure_components(edges_sql, shape, with_pairs=false) -%}
    {%- do return(
        closure_integer_components(edges_sql, shape, with_pairs) if shape.is_integer
        else closure_hashed_components(edges_sql, shape, with_pairs)) -%}
{%- endmacro %}


{% macro closure_integer_components(edges_sql, shape, with_pairs) -%}
    {%- set edges = closure_scratch('edges_0') -%}
    {%- set is_narrow = closure_fetch([
        closure_table('edges_0', 'select key_a, key_b from ('
            ~ closure_keyed(edges_sql, shape) ~ ')'),
        closure_table('pairs', closure_pairs(edges) ~ ('' if with_pairs else ' limit 0')),
        'select min(least(key_a, key_b)) > -2147483648 and max(greatest(key_a, key_b)) < 2147483647'
        ~ ' from ' ~ edges,
    ])[0] -%}
    {#- Half the bytes take a quarter less time. -#}
    {%- set key_type = 'integer' if is_narrow else 'bigint' -%}
    {%- set counted = closure_fetch([
        closure_table('edges_1', 'select cast(key_a as ' ~ key_type ~ ') as key_a, cast(key_b as '
            ~ key_type ~ ') as key_b from ' ~ edges),
        closure_table('loops', 'select distinct key_a as node from ' ~ edges
            ~ ' where key_a = key_b'),
        'select (select count(*) from ' ~ edges ~ '), '
        ~ '(select count(*) from ' ~ closure_scratch('loops') ~ ')',
    ]) -%}
    {#- In the order of the nodes themselves a root is the least of its component. -#}
    {%- set components_sql -%}
        with labelled as materialized ({{ closure_contract(counted[0]) }})
        select node, root as component from labelled
        union all
        select distinct root, root from labelled
        {%- if counted[1] %}
        union all
        select node, node
        from {{ closure_scratch('loops') }}
        where
            node not in (select node from labelled)
            and node not in (select root from labelled)
        {%- endif %}
    {%- endset -%}
    {%- do return(components_sql) -%}
{%- endmacro %}


{% macro closure_hashed_components(edges_sql, shape, with_pairs) -%}
    {%- set edges, nodes = closure_scratch('edges'), closure_scratch('nodes') -%}
    {%- do closure_run([closure_table('edges', 'select node_a, node_b from (' ~ edges_sql
        ~ ') where node_a is not null and node_b is not null')]) -%}
    {%- set tried = namespace(count=0, has_clash=true) -%}
    {%- for attempt in range(10) if tried.has_clash -%}
        {%- set tried.has_clash = closure_fetch([
            closure_table('nodes',
                'select node, ' ~ closure_key('node', shape, attempt) ~ ' as key from ('
                ~ 'select node_a as node from ' ~ edges ~ ' union all select node_b from ' ~ edges
                ~ ') group by node'),
            'select count(distinct key) < count(*) from ' ~ nodes,
        ])[0] -%}
        {%- set tried.count = attempt -%}
    {%- endfor -%}
    {%- if tried.has_clash -%}
        {%- do exceptions.raise_compiler_error(this ~ ': ten hashes each gave two nodes one key') -%}
    {%- endif -%}
    {%- do shape.update({'has_clash': tried.count > 0}) -%}
    {%- set edge_count = closure_fetch([
        closure_table('edges_1', 'select key_a, key_b from ('
            ~ closure_keyed('select * from ' ~ edges, shape, tried.count) ~ ')'),
        'drop table ' ~ edges,
        closure_table('pairs', closure_pairs(closure_scratch('edges_1'))
            ~ ('' if with_pairs else ' limit 0')),
        'select count(*) from ' ~ closure_scratch('edges_1'),
    ])[0] -%}
    {%- set components_sql -%}
        with labelled as materialized (
            select nodes.node, coalesce(label.root, nodes.key) as root
            from {{ nodes }} as nodes
            left join ({{ closure_contract(edge_count) }}) as label on nodes.key = label.node
        ),
        components as materialized (
            select root, min(node) as component from labelled group by root
        )
        select labelled.node, components.component
        from labelled inner join components on labelled.root = components.root
    {%- endset -%}
    {%- do return(components_sql) -%}
{%- endmacro %}


{#-
    Contracts scratch table edges_1 (key_a, key_b). Returns the query of what was found, one row
    (node, root) per node that is not the least of its component, which is its root.

    Contraction as in Bögeholz, Brand and Todor, "In-database connected component analysis" (ICDE
    2020), with whole trees contracted at once as Shiloach and Vishkin do. In each round every node
    hooks onto the least of its neighbours that are less than itself, the trees that arise are
    pulled flat by pointer doubling, edges are relabelled to the roots, and an edge inside a tree is
    done with. A node that neither hooks nor is hooked onto has a lesser neighbour in the next
    round: so two rounds halve the trees at least, and a handful of rounds do for millions of edges.
-#}
{% macro closure_contract(edge_count) -%}
    {%- set found = [] -%}
    {%- set state = namespace(edge_count=[edge_count, 1] | max) -%}
    {%- for round in range(1, 200) if state.edge_count -%}
        {%- set edges = closure_scratch('edges_' ~ round) -%}
        {%- set next_edges = closure_scratch('edges_' ~ (round + 1)) -%}
        {%- set hooks_sql -%}
            select greatest(key_a, key_b) as node, min(least(key_a, key_b)) as hook
            from {{ edges }}
            where key_a <> key_b
            group by all
        {%- endset -%}
        {%- set labels = namespace(flat_sql=none, hanging=none, statements=[
            'drop table if exists ' ~ closure_scratch('edges_' ~ (round - 1)),
            closure_table('hooks', hooks_sql),
        ]) -%}
        {#- Enough for nearly every tree; when one is deeper, relabelling is done twice. -#}
        {%- set jump_count = 4 if state.edge_count > 100000 else 2 -%}
        {%- for jump in range(jump_count) -%}
            {%- do closure_jump(labels, round, jump) -%}
        {%- endfor -%}
        {%- set counted = closure_fetch(labels.statements + [
            closure_table('edges_' ~ (round + 1), closure_relabelled(edges, labels.flat_sql)),
            'select (select count(*) from ' ~ next_edges ~ '), '
            ~ '(select count(*) from ' ~ labels.hanging ~ ' where not is_flat)',
        ]) -%}
        {%- set state.edge_count = counted[0] -%}
        {%- if counted[1] -%}
            {%- set deep = namespace(hanging_count=counted[1]) -%}
            {%- for jump in range(jump_count, 200) if deep.hanging_count -%}
                {%- set labels.statements = [] -%}
                {%- do closure_jump(labels, round, jump) -%}
                {%- set deep.hanging_count = closure_fetch(labels.statements + [
                    'select count(*) from ' ~ labels.hanging ~ ' where not is_flat'])[0] -%}
            {%- endfor -%}
            {%- set state.edge_count = closure_fetch([closure_table(
                'edges_' ~ (round + 1), closure_relabelled(edges, labels.flat_sql))])[0] -%}
        {%- endif -%}
        {%- do found.append(labels.flat_sql) -%}
    {%- endfor -%}
    {%- if state.edge_count -%}
        {%- do exceptions.raise_compiler_error(this ~ ': edges are left after 199 rounds') -%}
    {%- endif -%}

    {#- From the last round back: a root of one round may hook onto something in a later one. -#}
    {%- set later = namespace(sql='select node, root from (' ~ found.pop() ~ ')') -%}
    {%- set statements = [] -%}
    {%- for labels in found | reverse -%}
        {%- set name = 'composed_' ~ loop.revindex -%}
        {%- do statements.append(closure_table(name, later.sql)) -%}
        {%- set later.sql -%}
            select label.node, coalesce(later.root, label.root) as root
            from ({{ labels }}) as label
            left join {{ closure_scratch(name) }} as later on label.root = later.node
            union all
            select node, root from {{ closure_scratch(name) }}
        {%- endset -%}
    {%- endfor -%}
    {%- if statements -%}
        {%- do closure_run(statements) -%}
    {%- endif -%}
    {%- do return(later.sql) -%}
{%- endmacro %}


{#-
    Adds the next jump of a round to `labels`: its statement, and its rows that are flat, which are
    those whose root hooks onto nothing. Each jump doubles the distance that a node has come.
-#}
{% macro closure_jump(labels, round, jump) -%}
    {%- set jump_sql -%}
        {%- if jump == 0 %}
        select
            node.node,
            node.hook,
            coalesce(further.hook, node.hook) as root,
            further.node is null as is_flat
        from {{ closure_scratch('hooks') }} as node
        left join {{ closure_scratch('hooks') }} as further on node.hook = further.node
        {%- else %}
        with hanging as (select node, hook, root from {{ labels.hanging }} where not is_flat)
        select
            node.node,
            node.hook,
            coalesce(flat.root, further.root, node.root) as root,
            further.node is null as is_flat
        from hanging as node
        left join ({{ labels.flat_sql }}) as flat on node.root = flat.node
        left join hanging as further on node.root = further.node
        {%- endif %}
    {%- endset -%}
    {%- set name = 'labels_' ~ round ~ '_' ~ jump -%}
    {%- set flat_sql = 'select node, hook, root from ' ~ closure_scratch(name) ~ ' where is_flat' -%}
    {%- do labels.statements.append(closure_table(name, jump_sql)) -%}
    {%- set labels.hanging = closure_scratch(name) -%}
    {%- set labels.flat_sql = flat_sql if jump == 0 else labels.flat_sql ~ ' union all ' ~ flat_sql -%}
{%- endmacro %}


{#-
    The edges between the roots of their ends. One join an end: in one join of three, with the
    inequality, it would not end. The edge a node hooked along needs no join to be done with.
-#}
{% macro closure_relabelled(edges, labels_sql) -%}
    with labels as ({{ labels_sql }}),
    half as materialized (
        select label.root as key_a, least(edge.key_a, edge.key_b) as key_b
        from {{ edges }} as edge
        inner join labels as label on greatest(edge.key_a, edge.key_b) = label.node
        where least(edge.key_a, edge.key_b) <> label.hook
    )
    select half.key_a, coalesce(label.root, half.key_b) as key_b
    from half left join labels as label on half.key_b = label.node
    where half.key_a <> coalesce(label.root, half.key_b)
{%- endmacro %}


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
