{{ config(meta={'dagster': {'ref': {'name': 'mart_churn_labels'}}}) }}
-- A label without features cannot be learned from.
select labels.*
from {{ ref('mart_churn_labels') }} as labels
anti join {{ ref('mart_customer_features') }} as features
    on
        labels.customer_id = features.customer_id
        and labels.as_of_date = features.as_of_date
