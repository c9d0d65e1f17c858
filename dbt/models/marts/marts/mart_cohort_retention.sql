with customer_days as (
    select * from {{ ref('int_orders__customer_days_aggregated') }}
),

as_of as (
    select as_of_date from {{ ref('stg_run__as_of') }}
),

members as (
    select
        customer_id,
        cast(date_trunc('month', min(order_date)) as date) as cohort_month
    from customer_days
    where purchase_count > 0
    group by customer_id
),

cohorts as (
    select
        cohort_month,
        count(*) as cohort_customer_count
    from members
    group by cohort_month
),

-- Every month up to today's, so that a month in which nobody came back is a zero and not a gap.
calendar as (
    select
        cohorts.cohort_month,
        cohorts.cohort_customer_count,
        unnest(
            generate_series(0, datediff('month', cohorts.cohort_month, as_of.as_of_date))
        ) as months_since
    from cohorts
    cross join as_of
),

activity as (
    select
        members.cohort_month,
        datediff('month', members.cohort_month, customer_days.order_date) as months_since,
        count(distinct customer_days.customer_id) filter (customer_days.purchase_count > 0)
            as active_customer_count,
        sum(customer_days.net_amount) as revenue_amount
    from customer_days
    inner join members on customer_days.customer_id = members.customer_id
    group by all
)

select
    calendar.cohort_month,
    calendar.months_since,
    calendar.cohort_customer_count,
    coalesce(activity.active_customer_count, 0) as active_customer_count,
    coalesce(activity.active_customer_count, 0) / calendar.cohort_customer_count
        as retention_share,
    cast(coalesce(activity.revenue_amount, 0) as decimal(18, 4)) as revenue_amount
from calendar
left join activity
    on
        calendar.cohort_month = activity.cohort_month
        and calendar.months_since = activity.months_since
