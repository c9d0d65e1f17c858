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
    {{ dated_and_known('unioned', 'answered_at', 'answered_date') }}
)

select
    dated.source,
    dated.source_answer_id,
    dated.customer_key,
    dated.customer_key_type,
    dated.nps_score,
    dated.answered_at,
    dated.answered_date,
    dated.known_from
from dated
