with load_ledger as (
    select * from {{ source('quality', 'load_ledger') }}
)

-- One content may be delivered to two entities: its rows are as old in both.
select distinct
    source,
    file_id
from load_ledger
where status = 'loaded'
