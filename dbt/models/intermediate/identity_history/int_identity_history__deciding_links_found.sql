with moves as (
    select * from {{ ref('int_identity_history__identifiers_moved') }}
),

history as (
    select * from {{ ref('person_identifier_history') }}
),

links as (
    select
        pseudonym_a,
        pseudonym_b,
        link_kind as reason,
        first_seen_at,
        known_date,
        true as is_accepted
    from {{ ref('int_identity_history__links_dated') }}
    union all
    select
        pseudonym_a,
        pseudonym_b,
        reason,
        first_seen_at,
        null as known_date,
        false as is_accepted
    from {{ ref('refused_links') }}
),

-- Each link of an identifier that moved, seen from that end.
touching as (
    select
        moves.*,
        links.*,
        links.pseudonym_b as other_pseudonym
    from moves
    inner join links on moves.pseudonym = links.pseudonym_a
    union all
    select
        moves.*,
        links.*,
        links.pseudonym_a as other_pseudonym
    from moves
    inner join links on moves.pseudonym = links.pseudonym_b
),

-- Where its other end was before that day, and where it is later.
placed as (
    select
        touching.*,
        earlier.person_id as other_person_id_before,
        later.person_id as other_person_id_since
    from touching
    left join history as earlier
        on
            touching.other_pseudonym = earlier.pseudonym
            and touching.changed_date > earlier.known_from
            and touching.changed_date <= coalesce(earlier.known_to, 'infinity')
    left join history as later
        on
            touching.other_pseudonym = later.pseudonym
            and touching.changed_date >= later.known_from
            and touching.changed_date < coalesce(later.known_to, 'infinity')
),

-- An accepted link joins what was apart, a refused one keeps apart what was together.
deciding as (
    select *
    from placed
    where
        (
            is_accepted
            and known_date <= changed_date
            and other_person_id_since = person_id_to
            and other_person_id_before is distinct from person_id_from
        )
        or (
            not is_accepted
            and other_person_id_before = person_id_from
            and other_person_id_since is distinct from person_id_to
        )
)

select
    changed_date,
    person_id_from,
    person_id_to,
    is_accepted,
    pseudonym_a,
    pseudonym_b,
    reason
from deciding
qualify row_number() over (
    partition by changed_date, person_id_from, person_id_to, is_accepted
    order by
        coalesce(other_person_id_before = person_id_to, false) desc,
        first_seen_at asc nulls last,
        pseudonym_a asc,
        pseudonym_b asc
) = 1
