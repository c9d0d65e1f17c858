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


{#- The edges with the part they are of, and the keys of their ends. -#}
{% macro closure_keyed(edges_sql, shape, attempt=0) -%}
    select
        node_a,
        node_b,
        {{ shape.part }} as part,
        {{ closure_key('node_a', shape, attempt) }} as key_a,
        {{ closure_key('node_b', shape, attempt) }} as key_b
    from ({{ edges_sql }})
    where node_a is not null and node_b is not null
{%- endmacro %}


{#- A query of the nodes that a scratch table of edges names. -#}
{% macro closure_ends(edges) -%}
    select node_a as node from {{ edges }} union select node_b from {{ edges }}
{%- endmacro %}
