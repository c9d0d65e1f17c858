{#-
    Contracts edges_1, which has each edge as (low, high). Returns the query of what was found, one
    row (node, root) per node that is not the least of its component, which is its root.

    Contraction as in Bögeholz, Brand and Todor, "In-database connected component analysis" (ICDE
    2020), with whole trees contracted at once as Shiloach and Vishkin do, while there are many
    edges. In each round every node hooks onto the least of its neighbours that are less than
    itself, the trees that arise are pulled flat by pointer doubling, edges are relabelled to the
    roots, and an edge inside a tree is done with. A node too deep to be reached by the doubling
    waits for the next round, which goes to any depth if most edges wait. Two or three rounds leave
    few of millions of edges, and those are closed over in one statement (remainder.sql): it costs
    less than the statements of two rounds.
-#}
{% macro closure_contract(edge_count) -%}
    {%- set found = [] -%}
    {%- set state = namespace(
        edges=closure_scratch('edges_1'), edge_count=edge_count, jump_count=3) -%}
    {%- for round in range(1, 99) if state.edge_count > 30000 -%}
        {%- set labels = closure_flat_labels(state.edges, round, state.jump_count) -%}
        {%- do found.append(labels.flat_sql) -%}
        {%- set further = 'edges_' ~ (round + 1) -%}
        {%- set left_count = closure_fetch(labels.statements + [
            closure_table(further, closure_relabelled(state.edges, labels.all_sql)),
            'drop table ' ~ state.edges,
            'select count(*) from ' ~ closure_scratch(further)])[0] -%}
        {%- if 2 * left_count > state.edge_count -%}
            {#- A chain in the order of its nodes is one deep tree: this reaches 2^32 nodes. -#}
            {%- set state.jump_count = 32 -%}
        {%- endif -%}
        {%- set state.edges, state.edge_count = closure_scratch(further), left_count -%}
    {%- endfor -%}

    {#- From the last round back: a root of one round may hook onto something in a later one. -#}
    {%- set later = namespace(sql=closure_remainder(state.edges)) -%}
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
    The statements that pull the trees of a round flat, and two queries of what they find: the rows
    (node, root) whose root hooks onto nothing, and the labels of all nodes that hook, of which the
    others stay their own roots for this round. Each jump doubles the distance that a node has come.
-#}
{% macro closure_flat_labels(edges, round, jump_count) -%}
    {%- set first_jump_sql -%}
        with hooks as materialized (
            select high as node, min(low) as hook, count(*) > 1 as has_more
            from {{ edges }}
            group by high
        )
        select
            node.node,
            node.hook,
            node.has_more,
            coalesce(further.hook, node.hook) as root,
            further.node is null as is_flat
        from hooks as node
        left join hooks as further on node.hook = further.node
    {%- endset -%}
    {%- set name = 'labels_' ~ round ~ '_' -%}
    {%- set labels = namespace(
        flat_sql='', last=closure_scratch(name ~ 0),
        statements=[closure_table(name ~ 0, first_jump_sql)]) -%}
    {%- for jump in range(1, jump_count) -%}
        {%- set jump_sql -%}
            select
                node.node,
                node.hook,
                node.has_more,
                coalesce(further.root, node.root) as root,
                coalesce(further.is_flat, true) as is_flat
            from {{ labels.last }} as node
            left join ({{ labels.flat_sql }} from {{ labels.last }}) as further
                on node.root = further.node
            where not node.is_flat
        {%- endset -%}
        {%- do labels.statements.append(closure_table(name ~ jump, jump_sql)) -%}
        {%- set labels.flat_sql =
            labels.flat_sql ~ 'from ' ~ labels.last ~ ' where is_flat union all ' -%}
        {%- set labels.last = closure_scratch(name ~ jump) -%}
    {%- endfor -%}
    {%- do return({
        'statements': labels.statements,
        'flat_sql': 'select node, root from (' ~ labels.flat_sql ~ 'from ' ~ labels.last
            ~ ') where is_flat',
        'all_sql': labels.flat_sql ~ 'select node, if(is_flat, hook, null) as hook,'
            ~ ' has_more or not is_flat as has_more, if(is_flat, root, node) as root, is_flat from '
            ~ labels.last,
    }) -%}
{%- endmacro %}


{#- Edges as (low, high), which is what a node hooks by; a self-loop leads nowhere. -#}
{% macro closure_directed(edges, key_type) -%}
    select
        try_cast(if(key_a < key_b, key_a, key_b) as {{ key_type }}) as low,
        try_cast(if(key_a < key_b, key_b, key_a) as {{ key_type }}) as high
    from {{ edges }}
    where key_a <> key_b
{%- endmacro %}


{#-
    The edges between the roots of their ends. One join an end: in one join of three, with the
    inequality, it would not end. The edge a node hooked along needs no join to be done with, and a
    node of one edge has no other.
-#}
{% macro closure_relabelled(edges, labels_sql) -%}
    with labels as ({{ labels_sql }}),
    half as materialized (
        select label.root as root_a, edge.low
        from {{ edges }} as edge
        inner join labels as label on edge.high = label.node
        where label.has_more and edge.low is distinct from label.hook
    ),
    whole as (
        select half.root_a, coalesce(label.root, half.low) as root_b
        from half left join labels as label on half.low = label.node
    )
    select least(root_a, root_b) as low, greatest(root_a, root_b) as high
    from whole
    where root_a <> root_b
{%- endmacro %}
