{#- The one definition of a purchase; free baskets and returns are none. -#}
{% macro is_purchase(orders) -%}
    (not {{ orders }}.is_return and {{ orders }}.net_amount > 0)
{%- endmacro %}
