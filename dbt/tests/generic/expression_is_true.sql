{#- A null expression fails too: a rule that cannot be evaluated is not kept. -#}
{% test expression_is_true(model, expression) %}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
