{#-
    One row per thing (an order, a visit, a message) of which a row came late, and day on which more
    of it became known; `known_to` is the day of its next state. The rows whose known_from is not
    after a state's are what was known of the thing then. Things that are not in it were never known
    otherwise than they are.
-#}
{% macro known_states(rows, key, event_date) -%}
    select
        {{ key | join(', ') }},
        known_from,
        lead(known_from) over (partition by {{ key | join(', ') }} order by known_from) as known_to
    from (
        select distinct
            {{ rows }}.{{ key | join(', ' ~ rows ~ '.') }},
            {{ rows }}.known_from
        from {{ rows }}
        semi join (select * from {{ rows }} where known_from > {{ event_date }}) as late_rows
            using ({{ key | join(', ') }})
    ) as days
{%- endmacro %}
