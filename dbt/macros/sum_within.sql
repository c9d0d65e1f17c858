{#- The sum over a window of n days, in a type that models read; null when nothing is in it. -#}
{% macro sum_within(value, days, type='bigint', day='order_date', lag=0, condition=none) -%}
    cast(sum({{ value }}) filter (
        {{ condition ~ ' and ' if condition }}{{ is_within_days(day, days, lag=lag) }}
    ) as {{ type }})
{%- endmacro %}
