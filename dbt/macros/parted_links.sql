{#-
    The links of a rung that would lead from one end of a rejected pair to the other, to be cut before
    the rung is closed over. Each of the groups that the rung joins goes with the end to which fewer
    links lead; what is as near to both is neither's, and a link between two that went different ways
    is cut. So everything that hangs on one end alone stays with it, over links of its own.

    `links` has the columns pseudonym_a and pseudonym_b; `groups` those of a closure, and no row for
    an identifier that is a group by itself.
-#}
{% macro parted_links(links, groups) -%}
    with recursive
    -- Without a rejected pair nothing is read.
    edges as materialized (
        select
            links.pseudonym_a,
            links.pseudonym_b,
            coalesce(groups_a.component, links.pseudonym_a) as group_a,
            coalesce(groups_b.component, links.pseudonym_b) as group_b
        from {{ links }} as links
        left join {{ groups }} as groups_a on links.pseudonym_a = groups_a.node
        left join {{ groups }} as groups_b on links.pseudonym_b = groups_b.node
        where exists (select * from {{ ref('int_identity__pairs_rejected') }})
    ),

    neighbours as materialized (
        select
            group_a as people_group,
            group_b as neighbour
        from edges
        union
        select
            group_b as people_group,
            group_a as neighbour
        from edges
    ),

    ends as (
        select
            row_number,
            unnest(['a', 'b']) as side,
            unnest([pseudonym_a, pseudonym_b]) as pseudonym
        from {{ ref('int_identity__pairs_rejected') }}
    ),

    reached(row_number, side, people_group, link_count) using key (row_number, side, people_group) as (
        select
            ends.row_number,
            ends.side,
            coalesce(groups.component, ends.pseudonym) as people_group,
            0 as link_count
        from ends
        left join {{ groups }} as groups on ends.pseudonym = groups.node
        union
        select
            reached.row_number,
            reached.side,
            neighbours.neighbour as people_group,
            reached.link_count + 1 as link_count
        from reached
        inner join neighbours on reached.people_group = neighbours.people_group
        anti join recurring.reached as known
            on
                reached.row_number = known.row_number
                and reached.side = known.side
                and neighbours.neighbour = known.people_group
    ),

    -- Reached from one end alone: the two are apart already.
    sides as (
        select
            row_number,
            people_group,
            sign(
                min(link_count) filter (where side = 'a')
                - min(link_count) filter (where side = 'b')
            ) as side
        from reached
        group by row_number, people_group
        having count(*) = 2
    )

    select
        edges.pseudonym_a,
        edges.pseudonym_b,
        min(sides_a.row_number) as row_number
    from edges
    inner join sides as sides_a on edges.group_a = sides_a.people_group
    inner join sides as sides_b
        on edges.group_b = sides_b.people_group and sides_a.row_number = sides_b.row_number
    where sides_a.side <> sides_b.side
    group by edges.pseudonym_a, edges.pseudonym_b
{%- endmacro %}
