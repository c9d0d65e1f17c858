{#-
    Contracts the keyed edges (key_a, key_b) of a relation. Returns the query of what was found, one row
    (node, root) per node that is not the least of its component, which is its root.

    Contraction as in Bögeholz, Brand and Todor, "In-database connected component analysis" (ICDE
    2020), with whole trees contracted at once as Shiloach and Vishkin do. In each round every node
    hooks onto the least of its neighbours that are less than itself, the trees that arise are
    pulled flat by pointer doubling, edges are relabelled to the roots, and an edge inside a tree is
    done with. A node that neither hooks nor is hooked onto has a lesser neighbour in the next
    round: so two rounds halve the trees at least, and a handful of rounds do for millions of edges.
-#}
{% macro closure_contract(first_edges, edge_count) -%}
    {%- set found = [] -%}
    {%- set state = namespace(edge_count=[edge_count, 1] | max) -%}
    {%- for round in range(1, 200) if state.edge_count -%}
        {%- set edges = closure_scratch('edges_' ~ round) if round > 1 else first_edges -%}
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
