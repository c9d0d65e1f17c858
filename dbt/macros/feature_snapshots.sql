{#-
    What the last run left in the mart of features. Not by ref: the mart is made from the answer.
-#}
{% macro held_feature_versions() -%}
    {%- set held = adapter.get_relation(target.database, 'marts', 'mart_customer_features')
        if execute and not flags.FULL_REFRESH else none -%}
    {%- set columns = adapter.get_columns_in_relation(held) if held else [] -%}
    {%- if 'inputs_version' in columns | map(attribute='name') -%}
    select distinct
        as_of_date,
        inputs_version
    from {{ held }}
    {%- else -%}
    select
        cast(null as date) as as_of_date,
        cast(null as varchar) as inputs_version
    where false
    {%- endif -%}
{%- endmacro %}

{#- How many rows the snapshots that are due will have. -#}
{% macro due_snapshots() -%}
    select
        as_of_date as day,
        count(*) as row_count
    from {{ ref('int_features__snapshots_spined') }}
    where is_due
    group by as_of_date
{%- endmacro %}

{#- A row of the last run that would be made again as it is. -#}
{% macro is_kept_snapshot() -%}
    (as_of_date, inputs_version) in (
        select (as_of_date, inputs_version) from {{ ref('int_features__days_compared') }}
    )
{%- endmacro %}

{#- How many events sessions are made of, day by day. -#}
{% macro event_days() -%}
    select
        occurred_date as day,
        count(*) as row_count
    from {{ ref('int_events__web_unioned') }}
    group by occurred_date
{%- endmacro %}

{#- A hash of the definitions of all features: snapshots made by other ones are made again. -#}
{% macro feature_code_version() -%}
    {%- set parts = [
        business_date('t', 'z'), is_within_days('d', 1, lag=1), is_purchase('o'),
        known_since('v', 'd'), funnel_stages(), campaign_touches(),
        known_from('d'), known_states('r', ['k'], 'd'), is_known_on('s', 'd'),
        sum_within('v', 1, lag=1, condition='c'), label_horizons(),
    ] -%}
    {%- for node in (graph.nodes.values() if execute else []) | sort(attribute='name') -%}
        {%- if node.resource_type == 'model' and 'feature' in node.tags -%}
            {%- do parts.append(node.checksum.checksum) -%}
        {%- endif -%}
    {%- endfor -%}
    md5('{{ parts | join(' ') | replace("'", '') }}')
{%- endmacro %}

{#-
    dbt's own rule, and one more: a model that keeps rows, and whose table has other columns than its
    contract, is made anew. Without it a new feature would need a flag on the next run.
-#}
{% macro should_full_refresh() -%}
    {%- set configured = config.get('full_refresh') -%}
    {%- if configured is not none -%}
        {%- do return(configured) -%}
    {%- endif -%}
    {%- if flags.FULL_REFRESH or not execute -%}
        {%- do return(flags.FULL_REFRESH) -%}
    {%- endif -%}
    {%- set held = load_relation(this) -%}
    {%- if held is none or not model.columns -%}
        {%- do return(false) -%}
    {%- endif -%}
    {%- set held_names = adapter.get_columns_in_relation(held) | map(attribute='name') | sort -%}
    {%- do return(held_names != model.columns.keys() | sort) -%}
{%- endmacro %}
