{#-
    The `part` of an edge from a node to its component, for a closure over the components of another
    one. They are of no day, so the component says the part: enough of them that the few components
    that change from one run to the next leave most parts as they were. A date, as links have.
-#}
{% macro part_of_component(component) -%}
    date '1970-01-01' + cast(hash({{ component }}) % 500000 as integer)
{%- endmacro %}
