{#-
    A closure is finished: each end of each edge has a component, and both ends the same one. On a
    table of (node, component), of the relation `edges` that it closed over.
-#}
{% test closes_over(model, edges, node_a='node_a', node_b='node_b', where='true') %}
with edges as (
    select
        {{ node_a }} as node_a,
        {{ node_b }} as node_b
    from {{ edges }}
    where {{ where }} and {{ node_a }} is not null and {{ node_b }} is not null
),

-- Two joins of two tables: one of three, with an inequality in it, does not end.
half_labelled as materialized (
    select
        edges.node_b,
        labels.component as component_a
    from edges
    left join {{ model }} as labels on edges.node_a = labels.node
)

select
    half_labelled.component_a,
    labels.component as component_b
from half_labelled
left join {{ model }} as labels on half_labelled.node_b = labels.node
where half_labelled.component_a = labels.component is not true
{% endtest %}
