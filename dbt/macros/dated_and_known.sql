{#-
    Rows with the business day of one of their timestamps, and since when they were known. `as_of` is
    stg_run__as_of, `late_files` is int_landing__late_files; the rows have `source` and `file_id`.
-#}
{% macro dated_and_known(rows, utc_timestamp, event_date) -%}
    select
        dated.*,
        {{ known_from('dated.' ~ event_date) }} as known_from
    from (
        select
            {{ rows }}.*,
            {{ business_date(rows ~ '.' ~ utc_timestamp, 'as_of.business_zone') }} as {{ event_date }}
        from {{ rows }}
        cross join as_of
    ) as dated
    left join late_files
        on
            dated.source = late_files.source
            and dated.file_id = late_files.file_id
{%- endmacro %}
