{#- Lengths in days of the periods that labels look ahead; the first is that of churn. -#}
{% macro label_horizons() -%}
    [28, 90, 365]
{%- endmacro %}
