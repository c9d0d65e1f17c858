{#- Whether a state of something (see known_states) is the one that was known on a day. -#}
{% macro is_known_on(states, day) -%}
    ({{ states }}.known_from <= {{ day }} and coalesce({{ states }}.known_to > {{ day }}, true))
{%- endmacro %}
