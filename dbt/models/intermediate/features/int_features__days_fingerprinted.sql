with days as (
    select as_of_date from {{ ref('int_features__days_spined') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

as_of as (
    select * from {{ ref('stg_run__as_of') }}
),

fact_days as (
    select * from {{ ref('int_features__fact_days_fingerprinted') }}
),

-- A catalogue has no history: whatever changes in it changes every day. A product without an entry
-- says nothing that its lines do not.
described as (
    select hash(product_id, department, category) as row_hash
    from {{ ref('dim_products') }}
    where department is not null or category is not null
    union all
    select hash(store_id, region) as row_hash
    from {{ ref('dim_stores') }}
),

catalogue as (
    select sum(row_hash) as row_hashes
    from described
),

known_facts as (
    select
        days.as_of_date,
        sum(fact_days.row_count) as row_count,
        sum(fact_days.row_hashes) as row_hashes
    from days
    left join fact_days on days.as_of_date >= fact_days.known_from
    group by days.as_of_date
),

known_people as (
    select
        days.as_of_date,
        sum(hash(people.customer_key, people.customer_id)) as row_hashes
    from days
    left join people
        on
            days.as_of_date >= people.known_from
            and days.as_of_date >= people.version_from
            and days.as_of_date < people.version_to
    group by days.as_of_date
)

select
    known_facts.as_of_date,
    md5(
        concat_ws(
            ' ',
            {{ feature_code_version() }},
            as_of.business_zone,
            catalogue.row_hashes,
            known_facts.row_count,
            known_facts.row_hashes,
            known_people.row_hashes
        )
    ) as inputs_version
from known_facts
inner join known_people on known_facts.as_of_date = known_people.as_of_date
cross join catalogue
cross join as_of
