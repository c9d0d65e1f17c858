{#- Only the days of this run: older rows keep the link that did it, even if it is gone by now.
    With it these days are recorded. -#}
{{ config(
    materialized='incremental', full_refresh=false, on_schema_change='fail',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where changed_date >= (select "
        ~ "min(open_from_date) from {{ ref('int_identity_history__days_recorded') }}){% endif %}",
    post_hook="update {{ ref('person_recorded_days') }} as recorded "
        ~ "set recorded_date = as_of.as_of_date from {{ ref('stg_run__as_of') }} as as_of "
        ~ "where recorded.recorded_date is null",
) }}
with changes as (
    select * from {{ ref('int_identity_history__people_changed') }}
),

links as (
    select * from {{ ref('int_identity_history__deciding_links_found') }}
),

days as (
    select * from {{ ref('int_identity_history__days_recorded') }}
),

kept as (
    {{ rows_so_far({
        'change': 'varchar', 'changed_date': 'date',
        'person_id_from': 'varchar', 'person_id_to': 'varchar',
        'pseudonym_a': 'varchar', 'pseudonym_b': 'varchar',
    }) }}
),

-- Which link had joined what falls apart again, should it be gone from the data.
earlier_merges as (
    select * from kept
    where change = 'merge'
    qualify row_number() over (
        partition by person_id_from, person_id_to order by changed_date desc
    ) = 1
)

select
    changes.changed_date,
    changes.change,
    changes.person_id_from,
    changes.person_id_to,
    changes.identifier_count,
    coalesce(links.pseudonym_a, earlier_merges.pseudonym_a) as pseudonym_a,
    coalesce(links.pseudonym_b, earlier_merges.pseudonym_b) as pseudonym_b,
    case
        when changes.change = 'renamed' then 'older_evidence'
        when changes.change = 'split' then coalesce(links.reason, 'link_withdrawn')
        else links.reason
    end as reason
from changes
semi join days on changes.changed_date = days.as_of_date
left join links
    on
        changes.changed_date = links.changed_date
        and changes.person_id_from = links.person_id_from
        and changes.person_id_to = links.person_id_to
        and links.is_accepted = (changes.change <> 'split')
left join earlier_merges
    on
        changes.change = 'split'
        and changes.person_id_from = earlier_merges.person_id_to
        and changes.person_id_to = earlier_merges.person_id_from
