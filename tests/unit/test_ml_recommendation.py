"""Next best products: foreseen better than by simple lists, refused by name, the same twice."""

import datetime as dt
from dataclasses import replace
from itertools import chain

import numpy as np
import polars as pl
import pytest

from ml import artifacts
from ml.errors import BadFeature, NotEnoughHistory
from ml.recommendation import FEATURES, RecommendationSettings, train_recommender
from ml.recommendation_model import RecommendationModel
from ml.trained_on import are_in

TODAY = dt.date(2024, 6, 30)
SETTINGS = RecommendationSettings(customers_at_once=37, cut_offs=1)


def company(customers: int = 120, products: int = 60, seed: int = 5) -> dict[str, pl.DataFrame]:
    """Two tastes, each for half of the products; everybody comes back to a few favourites."""
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        taste = np.arange(customer % 2, products, 2)
        favourites = random.choice(taste, 4, replace=False)
        for age in range(int(random.integers(0, 7)), 180, 7):
            basket = {*random.choice(favourites, 2), *random.choice(taste, 1)}
            rows += [(customer, int(p), TODAY - dt.timedelta(age)) for p in sorted(basket)]
    return frames(rows, customers, products)


def frames(rows: list, customers: int, products: int) -> dict[str, pl.DataFrame]:
    schema = {"customer_number": pl.Int32, "product_number": pl.Int32, "order_date": pl.Date}
    shelf = ["tea" if number % 2 else "bread" for number in range(products)]
    return {
        "purchases": pl.DataFrame(rows, schema=schema, orient="row"),
        "customers": pl.DataFrame({"customer_id": [f"c{n:03}" for n in range(customers)]}),
        "products": pl.DataFrame(
            {
                "product_id": [f"p{n:03}" for n in range(products)],
                "department": shelf,
                "category": pl.Series([None] * products, dtype=pl.String),
                "product_type": pl.Series([None] * products, dtype=pl.String),
            }
        ),
    }


@pytest.fixture(scope="module")
def trained() -> tuple:
    data = company()
    # One who never bought, and a product that nobody bought.
    data["customers"] = pl.concat([data["customers"], pl.DataFrame({"customer_id": ["new"]})])
    data["products"] = pl.concat(
        [data["products"], data["products"].head(1).with_columns(product_id=pl.lit("unsold"))]
    )
    recommender = train_recommender(**data, as_of_date=TODAY, settings=SETTINGS)
    return data, recommender, pl.concat(recommender.lists())


def test_lists_are_whole_and_each_product_is_in_the_right_one(trained: tuple) -> None:
    data, _, lists = trained
    bought = data["purchases"].select(
        customer_id=pl.format("c{}", pl.col("customer_number").cast(pl.String).str.zfill(3)),
        product_id=pl.format("p{}", pl.col("product_number").cast(pl.String).str.zfill(3)),
    )
    again = lists.join(bought, on=["customer_id", "product_id"], how="semi")
    assert set(again["kind"]) == {"repeat"}
    assert again.height == lists.filter(pl.col("kind") == "repeat").height
    ranks = lists.group_by("customer_id", "kind").agg(pl.col("rank").sort())["rank"].to_list()
    assert all(ranks_ == list(range(1, len(ranks_) + 1)) and len(ranks_) <= 10 for ranks_ in ranks)
    assert lists["reason"].str.len_chars().min() > 5
    assert lists["score"].is_finite().all()


def test_tastes_are_found(trained: tuple) -> None:
    _, recommender, lists = trained
    judged = recommender.metrics["kinds"]["cross_sell"]
    assert judged["recall"][judged["serving"]][0] > judged["recall"]["popularity"][0]
    new = lists.filter(
        pl.col("kind") == "cross_sell", pl.col("rank") <= 3, pl.col("customer_id") != "new"
    )
    taste = pl.col("customer_id").str.slice(1).cast(pl.Int32) % 2
    offered = pl.col("product_id").str.slice(1).cast(pl.Int32, strict=False).fill_null(0) % 2
    assert new.select((taste == offered).mean()).item() > 0.9


def test_who_never_bought_is_offered_what_sells(trained: tuple) -> None:
    _, _, lists = trained
    theirs = lists.filter(pl.col("customer_id") == "new")
    assert theirs["kind"].to_list() == ["cross_sell"] * 10
    assert set(theirs["reason"]) == {"popular with customers now"}


def test_the_same_input_in_another_order_and_chunk_gives_the_same_lists(trained: tuple) -> None:
    data, _, lists = trained
    shuffled = data | {"purchases": data["purchases"].sample(fraction=1, shuffle=True, seed=1)}
    again = train_recommender(
        **shuffled, as_of_date=TODAY, settings=replace(SETTINGS, customers_at_once=1000)
    )
    order = ["customer_id", "kind", "rank"]
    assert (
        pl.concat(again.lists()).sort(order).drop("score").equals(lists.sort(order).drop("score"))
    )


def test_nothing_after_the_day_is_known(trained: tuple) -> None:
    data, _, lists = trained
    later = data["purchases"].with_columns(pl.col("order_date") + dt.timedelta(200))
    moved = data | {"purchases": pl.concat([data["purchases"], later]).unique()}
    again = train_recommender(**moved, as_of_date=TODAY, settings=SETTINGS)
    assert pl.concat(again.lists()).equals(lists)


def test_the_file_loads_and_says_who_taught_it(trained: tuple, tmp_path) -> None:
    _, recommender, _ = trained
    path = artifacts.save(
        tmp_path / "m.skops", kind="reco", features=FEATURES, parts=recommender.model.as_parts()
    )
    model = artifacts.load_model(
        path, kind="reco", features=FEATURES, read=RecommendationModel.from_parts
    )
    assert pl.concat(recommender.lists(model)).equals(pl.concat(recommender.lists()))
    assert model.twin is None  # at one cut-off nothing could have been chosen before it
    assert are_in(model.trained_on, ["c000", "new"]).tolist() == [True, False]


@pytest.mark.parametrize("kept", [0, 1, 12])
def test_few_customers_are_refused(kept: int) -> None:
    data = company()
    data["purchases"] = data["purchases"].filter(pl.col("customer_number") < kept)
    message = f"not enough history: {kept} customers .*, 50 needed"
    with pytest.raises(NotEnoughHistory, match=message):
        train_recommender(**data, as_of_date=TODAY, settings=SETTINGS)


def test_a_young_company_is_refused() -> None:
    data = company()
    since = TODAY - dt.timedelta(40)
    data["purchases"] = data["purchases"].filter(pl.col("order_date") > since)
    with pytest.raises(NotEnoughHistory, match="not enough history"):
        train_recommender(**data, as_of_date=TODAY, settings=SETTINGS)


def test_customers_all_alike_and_a_single_product_still_give_lists() -> None:
    days = [TODAY - dt.timedelta(age) for age in range(0, 180, 7)]
    rows = list(chain.from_iterable([(c, 0, day) for day in days] for c in range(60)))
    recommender = train_recommender(**frames(rows, 60, 1), as_of_date=TODAY, settings=SETTINGS)
    lists = pl.concat(recommender.lists())
    assert lists["kind"].unique().to_list() == ["repeat"]
    assert lists.height == 60


def test_an_unknown_product_is_refused() -> None:
    data = company()
    data["products"] = data["products"].head(5)
    with pytest.raises(BadFeature, match="product_number"):
        train_recommender(**data, as_of_date=TODAY, settings=SETTINGS)
