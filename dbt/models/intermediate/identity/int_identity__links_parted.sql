with parted as (
    select
        *,
        'naming' as rung
    from {{ ref('int_identity__naming_links_parted') }}
    union all
    select
        *,
        'pairing' as rung
    from {{ ref('int_identity__pairing_links_parted') }}
    union all
    select
        *,
        'contact' as rung
    from {{ ref('int_identity__contact_links_parted') }}
    union all
    select
        *,
        'chain' as rung
    from {{ ref('int_identity__chain_links_parted') }}
)

select
    parted.pseudonym_a,
    parted.pseudonym_b,
    parted.rung,
    pairs.detail
from parted
inner join {{ ref('int_identity__pairs_rejected') }} as pairs
    on parted.row_number = pairs.row_number
