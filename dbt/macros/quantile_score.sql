{#-
    Scores 1 (lowest) to 5 (highest) by mid-rank quantile: rows of equal value share the middle of
    the ranks they occupy, so equal values always get equal scores and the order of rows never
    matters. ntile() would cut through a tie. All integers: nothing to round.
-#}
{% macro quantile_score(value) -%}
    5 * (2 * (rank() over (order by {{ value }}) - 1) + count(*) over (partition by {{ value }}))
    // (2 * count(*) over ()) + 1
{%- endmacro %}
