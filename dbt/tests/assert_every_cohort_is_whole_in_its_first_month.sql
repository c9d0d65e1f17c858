select *
from {{ ref('mart_cohort_retention') }}
where months_since = 0 and retention_share <> 1
