{#- How far somebody came, in words, from funnel depth 0 on. -#}
{% macro funnel_stages() -%}
    ['none', 'visit', 'view', 'cart', 'checkout', 'order']
{%- endmacro %}
