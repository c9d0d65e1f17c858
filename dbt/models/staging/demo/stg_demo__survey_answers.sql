with survey_answers as (
    select * from {{ source('demo', 'survey_answers') }}
)

select
    'demo' as source,
    answer_id as source_answer_id,
    email_pseudonym as customer_key,
    'email' as customer_key_type,
    nps_score,
    answered_at,
    _file_id as file_id
from survey_answers
