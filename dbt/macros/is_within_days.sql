{#- The one definition of a window of n days: (end - n, end], its end `lag` days before as_of. -#}
{% macro is_within_days(day, days, as_of='as_of_date', lag=0) -%}
    ({{ day }} > {{ as_of }} - {{ days + lag }}
    and {{ day }} <= {{ as_of }}{{ ' - ' ~ lag if lag }})
{%- endmacro %}
