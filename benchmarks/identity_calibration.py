"""How far a confidence can be believed: links and people against the truth of simulated companies.

What belongs here: counting how often a link of each kind holds, which gives the seed
`identity_link_confidence`, and comparing what the warehouse then says of other companies with what
is true of them, which gives the tables in docs/explanation/identity-confidence.md. Both files are
written here. What does not: making companies and stitching them (`identity_figures`), and any rule.

A person's human is the one that most of its identifiers belong to, cookies and devices aside. An
identifier that several humans use (a shared phone, a number given to somebody else) counts as that
human's, if it is one of theirs. A link holds when both its ends are of the same human. So a person
of two humans has one wrong link, the one that joined them, and not a wrong half.

The confidence of a kind of link is (holding + 1) / (all + 2), the rule of succession: a kind that
was seen a few times and never failed is not sure, and one never seen is worth a half. By how often
it was seen, the kind's own confidence stands in for a thousand links more, so that a few of them
change little. A match brings a probability of its own, which is only checked. What the truth does
not know is not counted: log-ins of people who only ever looked, of whom the simulator keeps no
record.
"""

import argparse
import csv
import itertools
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.identity_figures import landed, match, stitched
from dagster_project.resources import warehouse_of
from dagster_project.settings import Settings
from landing.pseudonyms import hmac_sql, read_or_create_key

PROJECT = Path(__file__).resolve().parents[1]
SEED_FILE = PROJECT / "dbt" / "seeds" / "identity_link_confidence.csv"
PAGE = PROJECT / "docs" / "explanation" / "identity-confidence.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
KINDS = (
    "naming_naming",
    "naming_joining",
    "joining_joining",
    "naming_weak",
    "joining_weak",
    "weak_weak",
    "agreeing_profiles",
    "shared_contacts",
    "corroborated",
)
# Known otherwise: by the matching model, and by the person who decided.
NOT_MEASURED = ("match", "approved")
BANDS = ("once", "few", "many")
# What a person decided is not measured: this is what a careful person is worth.
APPROVED = 0.99
BEFORE_MATCHING = (
    "+int_identity__people_linked",
    "+int_identity__people_corroborated",
    "+int_identity__identifiers_judged",
    "+int_people__profiles_unioned",
)
AFTER_MATCHING = ("+person_confidence",)
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
STAND_IN = 1000
DIGITS = 5


@dataclass(frozen=True)
class Judged:
    """What a stitched company says, with what is true of it (`holds`).

    links: one row per accepted link: link_kind, times_seen_band, confidence. people: one row per
    person of more than one identifier: confidence, label. pairs: one row per pair of people that
    matching found alike, joined or not: confidence.
    """

    links: pl.DataFrame
    people: pl.DataFrame
    pairs: pl.DataFrame


def company(folder: Path, people: int, seed: int) -> Judged:
    """Make a company in `folder`, stitch it as a run does, and judge what came of it."""
    settings = landed(folder / "home", folder / "truth", people, seed)
    stitched(settings, BEFORE_MATCHING)
    match(settings)
    stitched(settings, AFTER_MATCHING)
    return judged(settings, folder / "truth")


def judged(settings: Settings, truth_dir: Path) -> Judged:
    """Hold a stitched company against its truth."""
    key = read_or_create_key(settings.home, settings.pseudonym_key)
    with warehouse_of(settings).connect() as connection:
        connection.execute(
            f"""
            create or replace temp table owners as
            select distinct
                {
                hmac_sql(
                    "if(identifier_type = 'customer_id', 'customer_id/demo', identifier_type)"
                    " || ':' || value"
                )
            } as pseudonym,
                person_id as human
            from read_parquet($truth)
            """,
            {**key.pads, "truth": str(truth_dir / "identifiers.parquet")},
        )
        connection.execute(_HUMANS)
        return Judged(*(connection.sql(query).pl() for query in (_LINKS, _PEOPLE, _PAIRS)))


_HUMANS = """
create or replace temp table humans as
with makers as (
    select pseudonym, person_id
    from identity.person_identifiers
    qualify tier <> 'weak' or bool_and(tier = 'weak') over (partition by person_id)
),
counted as (
    select makers.person_id, owners.human, count(*) as n
    from makers inner join owners using (pseudonym)
    group by all
),
mains as (
    select person_id, arg_max(human, (n, human)) as main from counted group by person_id
)
select
    people.pseudonym,
    people.person_id,
    people.pseudonym in (select pseudonym from makers) as is_maker,
    coalesce(max(owners.human) filter (owners.human = mains.main), min(owners.human)) as human
from identity.person_identifiers as people
inner join owners using (pseudonym)
inner join mains using (person_id)
group by people.pseudonym, people.person_id, mains.main
"""
_LINKS = """
select
    links.link_kind,
    case
        when links.record_count >= 5 then 'many' when links.record_count >= 2 then 'few' else 'once'
    end as times_seen_band,
    links.confidence,
    end_a.human = end_b.human as holds
from identity.identifier_edges as links
inner join humans as end_a on links.pseudonym_a = end_a.pseudonym
inner join humans as end_b on links.pseudonym_b = end_b.pseudonym
where links.is_accepted
"""
_PEOPLE = """
select said.confidence, said.label, known.holds
from identity.person_confidence as said
inner join (
    select person_id, count(distinct human) = 1 as holds
    from humans where is_maker group by person_id having count(*) > 1
) as known using (person_id)
"""


# Of the people before matching: each is the human that most of its identifiers are of.
_PAIRS = """
with counted as (
    select linked.people_group, owners.human, count(*) as n
    from intermediate.int_identity__people_linked as linked inner join owners using (pseudonym)
    group by all
),
mains as (
    select people_group, arg_max(human, (n, human)) as human from counted group by people_group
)
select scores.match_probability as confidence, end_a.human = end_b.human as holds
from intermediate.int_identity__matches_judged as scores
inner join mains as end_a on scores.people_group_a = end_a.people_group
inner join mains as end_b on scores.people_group_b = end_b.people_group
"""


def confidences(links: pl.DataFrame) -> list[dict[str, object]]:
    """The rows of the seed: how often each kind of link held, by how often it was seen.

    Raises:
        ValueError: the warehouse knows a kind of link that the seed does not.

    """
    counted = {
        (kind, band): (count, holding)
        for kind, band, count, holding in links.group_by("link_kind", "times_seen_band")
        .agg(pl.len(), pl.col("holds").sum())
        .iter_rows()
    }
    unknown = {kind for kind, _ in counted} - {*KINDS, *NOT_MEASURED}
    if unknown:
        raise ValueError(f"links of a kind that has no place in the seed: {sorted(unknown)}")
    rows = []
    for kind in KINDS:
        of_kind = [counted.get((kind, band), (0, 0)) for band in BANDS]
        count, holding = (sum(column) for column in zip(*of_kind, strict=True))
        overall = (holding + 1) / (count + 2)
        rows += [
            {
                "link_kind": kind,
                "times_seen_band": band,
                "confidence": min(
                    round((holding + STAND_IN * overall) / (count + STAND_IN), DIGITS),
                    1 - 10**-DIGITS,
                ),
                "links": count,
                "held": holding,
            }
            for band, (count, holding) in zip(BANDS, of_kind, strict=True)
        ]
    return rows


def write_seed(rows: Iterable[dict[str, object]]) -> None:
    """Write the seed that `identity.identifier_edges` reads."""
    with SEED_FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["link_kind", "times_seen_band", "confidence"])
        for row in rows:
            writer.writerow([row["link_kind"], row["times_seen_band"], row["confidence"]])
        writer.writerow(["approved", "once", APPROVED])


def reliability(said: pl.DataFrame, noun: str) -> str:
    """A table of what was said and what is true, by bins of the confidence."""
    lines = [f"| confidence | {noun} | said, mean | true, share |", "|---|---:|---:|---:|"]
    for low, high in itertools.pairwise(BINS):
        is_last = high == BINS[-1]
        inside = said.filter(
            (pl.col("confidence") >= low)
            & ((pl.col("confidence") < high) | (pl.lit(is_last) & (pl.col("confidence") <= high)))
        )
        if inside.height:
            lines.append(
                f"| {low:g} to {high:g} | {inside.height:,} | {inside['confidence'].mean():.4f} "
                f"| {inside['holds'].mean():.4f} |"
            )
    return "\n".join(lines)


def write_page(text: str) -> None:
    """Put the figures between the two marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> None:
    """Measure the seed on some companies, check it on others, and write seed and page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--measured-on", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--checked-on", type=int, nargs="+", default=[14, 15])
    arguments = parser.parse_args()

    def companies(seeds: list[int]) -> list[Judged]:
        found = []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                found.append(company(Path(folder), arguments.people, seed))
            print(f"company {seed}: {found[-1].links.height:,} links", file=sys.stderr)
        return found

    rows = confidences(pl.concat(one.links for one in companies(arguments.measured_on)))
    write_seed(rows)
    checked = companies(arguments.checked_on)
    write_page(
        "\n\n".join(
            [
                f"Measured on companies {_listed(arguments.measured_on)} of "
                f"{arguments.people:,} people each, checked on {_listed(arguments.checked_on)}.",
                "**Kinds of links**",
                kinds(rows),
                "**Links**, as other companies' warehouses call them:",
                reliability(pl.concat(one.links for one in checked), "links"),
                "**People** of more than one identifier:",
                reliability(pl.concat(one.people for one in checked), "people"),
                "**Pairs of people that matching found alike**, joined or not:",
                reliability(pl.concat(one.pairs for one in checked), "pairs"),
            ]
        )
    )


def kinds(rows: Iterable[dict[str, object]]) -> str:
    """A table of how often each kind of link held."""
    lines = ["| kind of link | seen | links | held | confidence |", "|---|---|---:|---:|---:|"]
    lines += [
        "| {link_kind} | {times_seen_band} | {links:,} | {held:,} | {confidence} |".format(**row)
        for row in rows
        if row["links"]
    ]
    return "\n".join(lines)


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, seeds))


if __name__ == "__main__":
    main()
