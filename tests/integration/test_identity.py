"""Who is who in a made company, from its files to `identity.*`: the graph's own steps, no more."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from pipeline import copied

from dagster_project.assets.identity import (
    MATCH_MODEL_KEY,
    PARAMETERS,
    forget_model,
    kept_version,
)
from dagster_project.definitions import build_defs
from dagster_project.prepare import prepare_home
from dagster_project.refresh import exchanged_models
from dagster_project.resources import export_environment, warehouse_of
from dagster_project.settings import Settings
from dagster_project.tables import MATCH_SCORES
from dagster_project.why import explain
from simulator import demo

STITCHED = (
    dg.AssetSelection.groups("identity", "core", "marts")
    .upstream()
    .required_multi_asset_neighbors()
)
MATCHING = dg.AssetSelection.assets(MATCH_MODEL_KEY).required_multi_asset_neighbors()
HISTORY = "from identity.person_identifier_history order by all"
CROWD = 100_000


def stitch(settings: Settings, made: dg.AssetSelection = STITCHED) -> None:
    """Land what is there and make `identity.*` and the marts, without models."""
    export_environment(settings)
    prepare_home(settings)
    job = build_defs(settings).resolve_job_def("refresh")
    with dg.DagsterInstance.get() as instance:
        graph = job.asset_layer.asset_graph
        assert job.execute_in_process(
            instance=instance, asset_selection=sorted(made.resolve(graph))
        ).success


@pytest.fixture(scope="module")
def stitched(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A company of 400 people, and a crowd who all gave the shop's own address."""
    settings = Settings(
        home=tmp_path_factory.mktemp("company") / "home",
        sources=("demo",),
        pseudonym_key="ab" * 32,
    )
    demo.export(settings.landing_dir, people=400)
    day = datetime(2024, 12, 30, 12, tzinfo=UTC)
    empty = ("name", "birth_date", "address", "postcode", "company", "loyalty_card", "login")
    pl.DataFrame({"member_id": [f"9{number:08d}" for number in range(CROWD)]}).with_columns(
        profile_id="member_id",
        email=pl.lit("everybody@one-address.kr"),
        phone=pl.lit(None, pl.String),
        is_email_verified=pl.lit(value=False),
        registered_at=pl.lit(day),
        updated_at=pl.lit(day),
        **dict.fromkeys(empty, pl.lit(None, pl.String)),
    ).write_parquet(settings.landing_dir / "demo" / "crm_members_2024-12b.parquet")
    stitch(settings)
    return settings


def test_a_crowd_on_one_address_stays_a_crowd(stitched: Settings) -> None:
    warehouse = warehouse_of(stitched)
    largest = warehouse.read(
        "select count(*) as size from identity.person_identifiers group by person_id"
    )["size"]
    assert largest.len() > CROWD
    assert largest.max() < 40
    refused = warehouse.read(
        "select reason, count(*) as links from identity.refused_links"
        " group by reason order by links desc limit 1"
    )
    assert refused.row(0)[0] == "shared_identifier"
    assert refused.row(0)[1] >= CROWD


def test_two_people_who_gave_one_identifier_hear_of_it_and_why_it_joins_them_not(
    stitched: Settings,
) -> None:
    warehouse = warehouse_of(stitched)
    met = warehouse.read(
        """
        with ends as (
            select pseudonym_a as own, pseudonym_b as other, * from identity.refused_links
            union all
            select pseudonym_b as own, pseudonym_a as other, * from identity.refused_links
        ),
        people as (
            select ends.reason, ends.other, people.person_id, min(ends.own) as own
            from ends
            inner join identity.person_identifiers as people on ends.own = people.pseudonym
            where ends.record_id is not null
            group by all
        )
        select reason, other, min(own) as first, max(own) as second
        from people
        group by reason, other having count(*) > 1
        qualify row_number() over (partition by reason order by other) = 1
        """
    )
    assert {"shared_identifier", "contested_identifier"} <= set(met["reason"])
    for reason, other, first, second in met.iter_rows():
        told = explain(first, second, warehouse)
        assert told.startswith("They are two people") and reason in told and other in told


def test_a_new_warehouse_takes_up_the_history_and_a_forgotten_model_is_trained_anew(
    stitched: Settings, tmp_path: Path
) -> None:
    before = warehouse_of(stitched).read(HISTORY)
    assert before.height > CROWD
    home = copied(stitched, tmp_path / "home")
    parameters = home.matching_dir / PARAMETERS
    first = parameters.read_text()
    home.warehouse_path.unlink()
    forget_model(home)
    assert not parameters.exists()
    stitch(home)
    assert warehouse_of(home).read(HISTORY).equals(before)
    assert parameters.with_name(f"former_{PARAMETERS}").read_text() == first
    assert parameters.read_text() == first, "the same records train the same model"


def test_a_model_that_is_put_back_is_seen_and_serves_again(
    stitched: Settings, tmp_path: Path
) -> None:
    home = copied(stitched, tmp_path / "home")
    parameters = home.matching_dir / PARAMETERS
    former = parameters.read_text()
    for text in (former.replace('"seed": ', '"seed": 1'), former):
        parameters.write_text(text)
        export_environment(home)
        with dg.DagsterInstance.get() as instance:
            assert exchanged_models(home, instance) == {MATCH_MODEL_KEY}
            stitch(home, MATCHING)
            assert exchanged_models(home, instance) == set()
        serving = warehouse_of(home).read(
            "select model_run_id from ml.model_runs"
            " where model_name = 'match_scores' and is_champion"
        )
        assert serving.rows() == [(kept_version(home),)]


def test_a_kept_model_that_cannot_be_read_stops_the_run_and_parts_nobody(
    stitched: Settings, tmp_path: Path
) -> None:
    home = copied(stitched, tmp_path / "home")
    scores = f"from {MATCH_SCORES.schema}.{MATCH_SCORES.name} order by all"
    before = warehouse_of(home).read(scores)
    assert before.height
    parameters = home.matching_dir / PARAMETERS
    text = parameters.read_text()
    for wrong in (text[:-9], text.replace('"format": ', '"format": 1')):
        parameters.write_text(wrong)
        with pytest.raises(dg.Failure, match="train-matching"):
            stitch(home, MATCHING)
        assert warehouse_of(home).read(scores).equals(before)
