{#-
    The first day on which anybody could know of a row: its own, or, where a run of that day or later
    had gone without it, the day on which its file came. `late_files` is int_landing__late_files, left joined
    on `source` and `file_id`.
-#}
{% macro known_from(event_date, late_files='late_files') -%}
    case
        when {{ event_date }} <= {{ late_files }}.landed_until_date
            then greatest({{ event_date }}, {{ late_files }}.arrived_date)
        else {{ event_date }}
    end
{%- endmacro %}
