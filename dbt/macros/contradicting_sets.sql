{#-
    The sets (claims on one contact, parts of one person) whose members cannot be one person by what
    their records say: no birth date is held by all members that have one, or a member that has none
    bears a name that no other named member bears. A member without a profile contradicts nobody.
    Counted by group, so that a thousand members cost no million pairs.

    `profiled` has the columns `keys` (which name the set), `member`, field and value, and holds
    each combination once.
-#}
{% macro contradicting_sets(profiled, keys, member) -%}
    select {{ keys }}
    from (
        select
            {{ keys }},
            {{ member }},
            max(holder_count) filter (where field = 'birth_date') as birth_date_holders,
            max(holder_count) filter (where field = 'name') as name_holders
        from (
            select
                {{ keys }},
                {{ member }},
                field,
                count(*) over (partition by {{ keys }}, field, value) as holder_count
            from {{ profiled }}
        ) as held
        group by {{ keys }}, {{ member }}
    ) as members
    group by {{ keys }}
    having
        count(birth_date_holders) > max(birth_date_holders)
        or (
            count(name_holders) > 1
            and bool_or(birth_date_holders is null and name_holders = 1)
        )
{%- endmacro %}
