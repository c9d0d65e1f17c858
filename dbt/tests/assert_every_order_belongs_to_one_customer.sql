-- Either all lines of an order carry the same customer key or none carries any.
select
    order_id,
    count(*) as line_count,
    count(customer_key) as keyed_line_count
from {{ ref('fct_order_lines') }}
group by order_id
having
    min(customer_key) <> max(customer_key)
    or count(customer_key) not in (0, count(*))
