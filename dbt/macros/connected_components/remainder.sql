{#-
    Closes in one statement over the few edges (low, high) that are left; returns its query, of rows
    as those of closure_contract.

    Randomised contraction, again after Bögeholz, Brand and Todor: each end of an edge begins as its
    own root. In each round every root moves to its neighbour of the least hash, if that is less
    than its own. Each round has a hash of its own, so no order of the nodes makes a chain slow; and
    the root of the least hash draws its neighbours to itself, so there are fewer roots each time.
    All rounds stay in memory until the end, hence few edges.
-#}
{% macro closure_remainder(edges) -%}
    with recursive closed as (
        select low, high, low as root_low, high as root_high, 0 as round from {{ edges }}
        union all
        (
            with neighbours as (
                select root_low as root, root_high as neighbour, round
                from closed where root_low <> root_high
                union all
                select root_high as root, root_low as neighbour, round
                from closed where root_low <> root_high
            ),
            moves as (
                select root, arg_min(neighbour, hash(neighbour, round)) as further
                from neighbours
                group by root, round
                having min(hash(neighbour, round)) < hash(root, round)
            )
            select
                closed.low,
                closed.high,
                coalesce(of_low.further, closed.root_low) as root_low,
                coalesce(of_high.further, closed.root_high) as root_high,
                closed.round + 1 as round
            from closed
            left join moves as of_low on closed.root_low = of_low.root
            left join moves as of_high on closed.root_high = of_high.root
            where exists (from neighbours)
        )
    ),
    closed_edges as (
        select low, high, root_low as root
        from closed where round = (select max(round) from closed)
    ),
    names as (
        select root, min(low) as name from closed_edges group by root
    ),
    ends as (
        select low as node, root from closed_edges
        union
        select high as node, root from closed_edges
    )
    select ends.node, names.name as root
    from ends inner join names on ends.root = names.root
    where ends.node <> names.name
{%- endmacro %}
