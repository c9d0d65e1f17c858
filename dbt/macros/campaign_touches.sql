{#- One row per campaign sent and per coupon redeemed, with what each counts as. -#}
{% macro campaign_touches() -%}
    select
        customer_key,
        source,
        source_campaign_id,
        started_date as touch_date,
        known_from,
        1 as contact_count,
        0 as redemption_count
    from {{ ref('fct_campaign_contacts') }}
    union all
    select
        customer_key,
        source,
        source_campaign_id,
        redeemed_date as touch_date,
        known_from,
        0 as contact_count,
        1 as redemption_count
    from {{ ref('fct_redemptions') }}
{%- endmacro %}
