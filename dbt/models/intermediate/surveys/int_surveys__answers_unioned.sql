with unioned as (
    {{ union_by_name([
        ref('stg_demo__survey_answers'),
    ]) }}
)

select
    source,
    source_answer_id,
    customer_key,
    customer_key_type,
    nps_score,
    answered_at
from unioned
