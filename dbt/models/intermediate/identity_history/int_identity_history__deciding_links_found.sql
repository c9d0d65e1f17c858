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

-- Each link as either end sees it.
seen_links as (
    select
        *,
        unnest([pseudonym_a, pseudonym_b]) as pseudonym,
        unnest([pseudonym_b, pseudonym_a]) as other_pseudonym
    from links
),

-- The links of what moved: where their other end was before that day, and where it is later.
placed as (
    select
        moves.*,
        seen_links.*,
        earlier.person_id as other_person_id_before,
        later.person_id as other_person_id_since
    from moves
    inner join seen_links on moves.pseudonym = seen_links.pseudonym
    left join history as earlier
        on
            seen_links.other_pseudonym = earlier.pseudonym
            and moves.changed_date > earlier.known_from
            and moves.changed_date <= coalesce(earlier.known_to, 'infinity')
    left join history as later
        on
            seen_links.other_pseudonym = later.pseudonym
            and {{ is_known_on('later', 'moves.changed_date') }}
)

-- An accepted link joins what was apart, a refused one keeps apart what was together.
select
    changed_date,
    person_id_from,
    person_id_to,
    is_accepted,
    pseudonym_a,
    pseudonym_b,
    reason
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
qualify row_number() over (
    partition by changed_date, person_id_from, person_id_to, is_accepted
    order by
        coalesce(other_person_id_before = person_id_to, false) desc,
        first_seen_at asc nulls last,
        pseudonym_a asc,
        pseudonym_b asc,
        reason asc
) = 1
