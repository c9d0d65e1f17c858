"""The made company: the same every time, as bad as told, and true to its truth."""

import hashlib
import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from landing.normalise import normaliser_for
from simulator import demo
from simulator.company.names import romanise
from simulator.company.noise import misspell, mistype_digits, mistype_email, mistype_word
from simulator.company.plan import BLOCK, History, Noise, Plan, scatter

# Two whole blocks and a part of one.
PEOPLE = 2 * BLOCK + 700
RECORD_IDS = {
    "crm_members": "profile_id",
    "web_orders": "order_id",
    "receipts": "receipt_id",
    "support_conversations": "conversation_id",
    "reviews": "review_id",
    "survey_answers": "answer_id",
    "consents": "consent_id",
}
IDENTIFIERS = {
    "crm_members": {"member_id": "customer_id", "login": "login", "loyalty_card": "loyalty_card",
                    "email": "email", "phone": "phone"},
    "web_orders": {"login": "login", "email": "email", "phone": "phone", "cookie": "cookie"},
    "receipts": {"loyalty_card": "loyalty_card", "phone": "phone"},
    "support_conversations": {"email": "email", "phone": "phone"},
    "reviews": {"login": "login"},
    "survey_answers": {"email": "email"},
    "consents": {"email": "email", "phone": "phone", "login": "login"},
}  # fmt: skip


class Company:
    """The files of one export and its truth."""

    def __init__(self, home: Path, **settings: object):
        self.home = home
        self.files = demo.export(home / "landing", truth_dir=home / "truth", **settings)

    def read(self, entity: str) -> pl.DataFrame:
        return pl.read_parquet(self.home / "landing" / "demo" / f"{entity}_2*.parquet")

    def members(self) -> pl.DataFrame:
        """The CRM as it stands at the end: the newest version of each row."""
        return self.read("crm_members").sort("updated_at").group_by("profile_id").last()

    def truth(self, table: str) -> pl.DataFrame:
        return pl.read_parquet(self.home / "truth" / f"{table}.parquet")

    def noisy(self, entity: str, noise: str) -> int:
        rows = self.truth("noise").filter(
            (pl.col("entity") == f"demo.{entity}") & (pl.col("noise") == noise)
        )
        return rows["record_id"].n_unique()


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return Company(tmp_path_factory.mktemp("company"), people=PEOPLE)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.parquet")
    }


def rows(folder: Path) -> dict[str, pl.DataFrame]:
    return {path.name: pl.read_parquet(path) for path in folder.rglob("*.parquet")}


def test_an_export_is_the_same_every_time_and_another_with_another_seed(tmp_path):
    first, again, other = (
        Company(tmp_path / name, people=300, seed=seed)
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert digests(first.home) == digests(again.home)
    assert digests(first.home).keys() == digests(other.home).keys()
    assert not first.read("receipts").equals(other.read("receipts"))


def test_memory_is_bounded_by_chunks_that_change_nothing(company, tmp_path):
    in_small_chunks = Company(tmp_path, people=PEOPLE, chunk_people=BLOCK)
    whole, parts = rows(company.home), rows(tmp_path)
    assert whole.keys() == parts.keys()
    assert all(parts[name].equals(frame) for name, frame in whole.items())
    assert {path.name for path in in_small_chunks.files} <= whole.keys()


def test_a_delivered_company_is_left_alone_and_never_mixed_with_another(company, tmp_path):
    landing = company.home / "landing"
    assert demo.export(landing, people=PEOPLE) == []
    with pytest.raises(demo.AnotherCompanyError, match="empty it"):
        demo.export(landing, people=PEOPLE, seed=2)
    with pytest.raises(ValueError, match="truth"):
        demo.export(tmp_path, people=10, truth_dir=tmp_path / "demo" / "truth")


def test_without_a_truth_dir_no_truth_is_written(tmp_path):
    demo.export(tmp_path / "landing", people=50)
    assert {path.parent.name for path in tmp_path.rglob("*.parquet")} == {"demo"}


# --- noise ----------------------------------------------------------------------------


def near(share: float, told: float, count: int) -> bool:
    """Whether a share is what was told, but for four standard errors of chance."""
    return abs(share - told) <= 4 * (told * (1 - told) / count) ** 0.5


def test_noise_of_records_is_as_told(company):
    noise, members = Noise(), company.members()
    people = company.truth("people").filter(pl.col("is_member"))
    assert near(people["registered_twice"].mean(), noise.registered_twice, len(people))
    for kind in ("key_typo", "placeholder", "name_misspelt", "detail_missing"):
        share = company.noisy("crm_members", kind) / len(members)
        assert near(share, getattr(noise, kind), len(members)), kind
    lacks = members.select((pl.col("birth_date").is_null() | pl.col("address").is_null()).mean())
    assert near(lacks.item(), noise.detail_missing, len(members))

    orders, receipts = company.read("web_orders"), company.read("receipts")
    misspelt = company.noisy("web_orders", "name_misspelt") / len(orders)
    assert near(misspelt, noise.name_misspelt, len(orders))
    assert near(orders["address"].is_null().mean(), noise.detail_missing, len(orders))
    nobody = receipts.select((pl.col("loyalty_card").is_null() & pl.col("phone").is_null()).mean())
    assert near(nobody.item(), noise.receipt_unidentified, len(receipts))


def test_noise_of_devices_is_as_told(company):
    events = company.read("web_events").filter(~pl.col("cookie").str.starts_with("kiosk"))
    never = events.group_by("cookie").agg(pl.col("login").is_null().all())
    assert near(never["login"].mean(), Noise().cookie_never_logged_in, len(never))

    seen = company.truth("identifiers").filter(pl.col("kind").is_in(["own", "shared"]))
    # The phones in people's pockets are their own; tablets and browsers lie about.
    lying_about = (pl.col("identifier_type") == "cookie") | pl.col("value").str.starts_with("tab-")
    users = seen.filter(lying_about).group_by("value").agg(pl.col("person_id").n_unique())
    assert near((users["person_id"] > 1).mean(), Noise().shared_device, len(users))

    kiosks = company.truth("identifiers").filter(pl.col("kind") == "kiosk")
    assert kiosks.group_by("value").len()["len"].min() > 100


def test_identifiers_of_several_people_say_why(company):
    seen = company.truth("identifiers")
    by_value = seen.group_by("identifier_type", "value").agg(
        pl.col("person_id").n_unique(), pl.col("kind").unique()
    )
    several = by_value.filter(pl.col("person_id") > 1)
    kinds = {kind for kinds in several["kind"] for kind in kinds}
    assert kinds == {"shared", "mailbox", "kiosk", "recycled", "placeholder"}
    # Mailboxes of a team, and phones handed on: the latter more than a year apart.
    recycled = seen.filter(pl.col("kind") == "recycled")
    owners = recycled.join(company.truth("people"), on="person_id")
    gap = owners.group_by("value").agg(pl.col("acquired_at").max() - pl.col("acquired_at").min())
    handed_on = gap.filter(pl.col("acquired_at") > pl.duration(seconds=0))
    assert len(handed_on) > 30
    assert handed_on["acquired_at"].min().days > 365


def test_the_documented_noise_is_the_default():
    page = (Path(__file__).parents[2] / "docs/reference/demo-company.md").read_text()
    told = re.findall(r"^\| `(\w+)` \|.*\| (\d+) % \|$", page, flags=re.MULTILINE)
    assert {field: int(share) / 100 for field, share in told} == asdict(Noise())


def test_a_company_without_noise_has_none(tmp_path):
    clean = Company(tmp_path, people=600, noise=Noise.none())
    assert clean.truth("noise").is_empty()
    assert set(clean.truth("identifiers")["kind"]) == {"own"}
    known = clean.members().select("name", "birth_date", "address", "postcode")
    assert known.null_count().row(0) == (0, 0, 0, 0)


# --- truth ----------------------------------------------------------------------------


def test_every_record_has_one_person_and_shows_only_that_persons_identifiers(company):
    """The exports, normalised as landing does it, hold no identifier that the truth does not."""
    records, seen = company.truth("records"), company.truth("identifiers")
    told = seen.select("identifier_type", "value", "person_id").unique()
    for entity, record_id in RECORD_IDS.items():
        frame = company.read(entity)
        owners = records.filter(pl.col("entity") == f"demo.{entity}")
        assert owners["record_id"].is_unique().all()
        assert set(owners["record_id"]) == set(frame[record_id])
        for column, type_ in IDENTIFIERS[entity].items():
            shown = (
                frame.select(record_id, column)
                .drop_nulls()
                .join(owners, left_on=record_id, right_on="record_id")
            )
            normalise = normaliser_for(type_, "KR")
            spelled = {text: normalise(text) for text in shown[column].unique()}
            assert None not in spelled.values()
            shown = shown.with_columns(value=pl.col(column).replace_strict(spelled))
            unknown = shown.with_columns(identifier_type=pl.lit(type_)).join(
                told, on=["identifier_type", "value", "person_id"], how="anti"
            )
            assert unknown.is_empty(), (entity, column)


def test_natural_ids_are_unique_and_identifiers_belong_to_one_person_unless_told(company):
    for entity, key in {**RECORD_IDS, "web_events": "event_id", "app_events": "event_id"}.items():
        frame = company.members() if entity == "crm_members" else company.read(entity)
        assert frame[key].is_unique().all(), entity
    own = company.truth("identifiers").filter(pl.col("kind").is_in(["own", "typo"]))
    assert (
        own.group_by("identifier_type", "value")
        .agg(pl.col("person_id").n_unique())["person_id"]
        .max()
        == 1
    )


def test_nothing_happens_outside_the_period_or_before_a_person_came(company):
    plan = Plan(people=PEOPLE)
    begin, end = datetime(2024, 1, 1), datetime(2025, 1, 1)  # noqa: DTZ001
    came = company.truth("people").select("person_id", "acquired_at", "churned_at")
    owners = company.truth("records").join(came, on="person_id")
    for entity, column in (("receipts", "sold_at"), ("web_orders", "ordered_at")):
        frame = company.read(entity)
        assert frame[column].min() >= begin
        assert frame[column].max() < end
        of_people = frame.join(owners, left_on=RECORD_IDS[entity], right_on="record_id")
        assert (of_people[column] >= of_people["acquired_at"]).all()
        assert not (of_people[column] > of_people["churned_at"]).any()
    for month in plan.months:
        events = pl.read_parquet(company.home / "landing" / "demo" / f"web_events_{month}.parquet")
        assert set(events["occurred_at"].dt.strftime("%Y-%m")) == {month}


def test_orders_are_whole(company):
    for head, lines, key in (
        ("receipts", "receipt_lines", "receipt_id"),
        ("web_orders", "web_order_lines", "order_id"),
    ):
        frame = company.read(lines)
        assert set(frame[key]) == set(company.read(head)[key])
        numbers = frame.group_by(key).agg(
            pl.col("line_number").sort(), pl.len().cast(pl.Int32).alias("count")
        )
        assert (numbers["line_number"].list.max() == numbers["count"]).all()
        assert (
            numbers["line_number"]
            .list.n_unique()
            .equals(numbers["count"].cast(pl.UInt32), check_names=False)
        )
    bought = company.read("web_events").filter(pl.col("event_type") == "purchase")
    assert len(bought) == len(company.read("web_orders"))


def test_a_mood_shows_in_stars_and_scores_but_not_in_every_one(company):
    moods = company.truth("moods")
    for entity, column in (("reviews", "rating"), ("survey_answers", "nps_score")):
        judged = company.read(entity).join(moods, left_on=RECORD_IDS[entity], right_on="record_id")
        mean = dict(judged.group_by("mood").agg(pl.col(column).mean()).rows())
        assert mean["negative"] < mean["neutral"] < mean["positive"]
    texts = company.read("reviews")["review_text"]
    assert texts.n_unique() > 0.5 * len(texts)
    assert not texts.str.contains("[{}]").any()


def test_purchases_can_be_given_and_are_kept_to_the_cent(tmp_path):
    orders = pl.DataFrame(
        {
            "customer_id": [7, 7, 7, 9],
            "order_id": [1, 1, 2, 3],
            "ordered_at": [
                datetime(2017, month, day, 9)  # noqa: DTZ001
                for month, day in ((1, 5), (1, 5), (3, 1), (2, 2))
            ],
            "product_id": [10, 11, 10, 11],
            "quantity": [1, 2, 1, 1],
            "net_amount": [1.25, 3.0, 1.25, 1.5],
            "discount_amount": [0.0, 0.5, 0.0, 0.0],
        }
    )  # fmt: skip
    products = pl.DataFrame(
        {
            "product_id": [10, 11],
            "department": ["GROCERY", "GROCERY"],
            "category": ["MILK", "BREAD"],
            "product_type": ["MILK", "BREAD"],
            "brand": ["National", "Private"],
            "price": [1.25, 1.75],
        }
    )
    company = Company(tmp_path, purchases_from=History(orders, products))
    lines = pl.concat(
        [
            company.read("receipt_lines").rename(
                {"receipt_id": "order_id", "sold_at": "ordered_at"}
            ),
            company.read("web_order_lines"),
        ]
    )
    kept = ["ordered_at", "product_id", "quantity", "net_amount", "discount_amount"]
    assert lines.select(kept).sort(kept).equals(orders.select(kept).sort(kept))
    assert lines["order_id"].n_unique() == 3
    assert len(company.truth("people")) == 2


# --- single mistakes ------------------------------------------------------------------


def test_a_mistake_changes_the_text_and_keeps_it_usable():
    rng = np.random.default_rng(5)
    for _ in range(300):
        digits = f"{rng.integers(10**8):08d}"
        assert mistype_digits(rng, digits) != digits
        assert len(mistype_digits(rng, digits)) == 8
        email = "minsu.kim4821@naver.com"
        wrong = mistype_email(rng, email)
        assert wrong != email
        assert normaliser_for("email")(wrong) == wrong
        assert mistype_word(rng, "luna_x7") != "luna_x7"
        for name in ("김민수", "남궁예린", "이아", "Emma Müller"):
            assert misspell(rng, name) != name


def test_numbers_are_unique_without_a_memory():
    for size in (11, 1_000, 78_999_999):
        index = np.arange(min(size, 200_000))
        assert len(np.unique(scatter(index, size, 3))) == len(index)


def test_hangul_is_romanised_by_the_standard():
    assert romanise("김민수") == "gimminsu"
    assert romanise("최예린") == "choeyerin"
    assert romanise("왕숙희") == "wangsukhui"
