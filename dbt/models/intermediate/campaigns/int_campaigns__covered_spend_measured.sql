with sends as (
    select * from {{ ref('int_campaigns__sends_dated') }}
),

coupon_products as (
    select * from {{ ref('int_campaigns__coupon_products_unioned') }}
),

people as (
    select * from {{ ref('int_features__people_versioned') }}
),

lines as (
    select * from {{ ref('fct_order_lines') }}
    where customer_key is not null and not is_return and net_amount > 0
),

covered as (
    select
        source,
        source_campaign_id,
        product_id,
        count(distinct coupon_code) as coupon_count
    from coupon_products
    group by source, source_campaign_id, product_id
),

campaigns as (
    select distinct
        source,
        source_campaign_id
    from coupon_products
),

bought as (
    select
        people.customer_number,
        lines.product_id,
        lines.order_date,
        lines.known_from,
        sum(lines.net_amount) as net_amount
    from lines
    inner join people on lines.customer_key = people.customer_key
    semi join sends on people.customer_number = sends.customer_number
    group by people.customer_number, lines.product_id, lines.order_date, lines.known_from
)

select
    sends.source,
    sends.source_campaign_id,
    sends.customer_number,
    cast(sum(bought.net_amount) as double) as spend_amount,
    cast(
        coalesce(sum(bought.net_amount) filter (covered.product_id is not null), 0) as double
    ) as covered_spend_amount,
    {%- for days in [28, 90] %}
        cast(
            coalesce(
                sum(bought.net_amount) filter (
                    covered.product_id is not null
                    and {{ is_within_days('bought.order_date', days, 'sends.started_date - 1') }}
                ), 0
            ) as double
        ) as covered_spend_amount_{{ days }}d,
    {%- endfor %}
    count(distinct bought.product_id) filter (covered.product_id is not null)
        as covered_product_count,
    count(distinct bought.order_date) filter (covered.product_id is not null)
        as covered_day_count
from sends
inner join campaigns
    on
        sends.source = campaigns.source
        and sends.source_campaign_id = campaigns.source_campaign_id
inner join bought
    on
        sends.customer_number = bought.customer_number
        and {{ is_within_days('bought.order_date', 365, 'sends.started_date - 1') }}
        and sends.started_date > bought.known_from
left join covered
    on
        sends.source = covered.source
        and sends.source_campaign_id = covered.source_campaign_id
        and bought.product_id = covered.product_id
group by sends.source, sends.source_campaign_id, sends.customer_number
