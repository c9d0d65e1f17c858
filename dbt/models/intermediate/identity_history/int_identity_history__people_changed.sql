with moves as (
    select * from {{ ref('int_identity_history__identifiers_moved') }}
),

history as (
    select * from {{ ref('person_identifier_history') }}
),

moved as (
    select
        changed_date,
        person_id_from,
        person_id_to,
        count(*) as identifier_count
    from moves
    group by changed_date, person_id_from, person_id_to
),

-- Is anybody left under the old id?
outlived as (
    select distinct
        moved.changed_date,
        history.person_id
    from moved
    inner join history
        on
            moved.person_id_from = history.person_id
            and moved.changed_date >= history.known_from
            and moved.changed_date < coalesce(history.known_to, 'infinity')
),

-- Was anybody under the new id before?
preceded as (
    select distinct
        moved.changed_date,
        history.person_id
    from moved
    inner join history
        on
            moved.person_id_to = history.person_id
            and moved.changed_date > history.known_from
            and moved.changed_date <= coalesce(history.known_to, 'infinity')
)

select
    moved.changed_date,
    moved.person_id_from,
    moved.person_id_to,
    moved.identifier_count,
    case
        when
            outlived.person_id is not null
            or count(*) over (partition by moved.changed_date, moved.person_id_from) > 1
            then 'split'
        when
            preceded.person_id is not null
            or count(*) over (partition by moved.changed_date, moved.person_id_to) > 1
            then 'merge'
        else 'renamed'
    end as change -- noqa: RF04
from moved
left join outlived
    on
        moved.changed_date = outlived.changed_date
        and moved.person_id_from = outlived.person_id
left join preceded
    on
        moved.changed_date = preceded.changed_date
        and moved.person_id_to = preceded.person_id
