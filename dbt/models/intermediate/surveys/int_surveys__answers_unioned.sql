with unioned as (
    {{ union_by_name([
        ref('stg_demo__survey_answers'),
    ]) }}
),

as_of as (
    select business_zone from {{ ref('stg_run__as_of') }}
),

late_files as (
    select * from {{ ref('int_landing__late_files') }}
),

dated as (
    select
        unioned.*,
        {{ business_date('unioned.answered_at', 'as_of.business_zone') }} as answered_date
    from unioned
    cross join as_of
)

select
    dated.source,
    dated.source_answer_id,
    dated.customer_key,
    dated.customer_key_type,
    dated.nps_score,
    dated.answered_at,
    dated.answered_date,
    {{ known_from('dated.answered_date') }} as known_from
from dated
left join late_files
    on
        dated.source = late_files.source
        and dated.file_id = late_files.file_id
