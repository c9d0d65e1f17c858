"""How well the next product, and department, is foreseen on published data, beside the bars.

What belongs here: the data set, the cut-offs, and which figure stands against which bar. What does
not: the method (`ml.recommendation`).

`python -m benchmarks.figures_recommendations --home FOLDER` wants a finished state folder of the
Complete Journey. Views, facts and the number of products on offer were chosen on cut-offs up to
2017-11-05. How many earlier snapshots teach the blend (one, two or three) and the size of its trees
were looked at on 2017-12-03 as well; there they made no difference beyond noise.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

BARS = {"repeat": 0.371, "cross_sell": 0.047}
CUT_OFFS = 3


def judged(home: Path) -> dict[str, Any]:
    """Train and judge on a finished state folder; returns the metrics of the run."""
    import duckdb

    from ml.recommendation import RecommendationSettings, train_recommender

    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        recommender = train_recommender(
            connection.sql(
                "select customer_number, product_number, order_date "
                "from marts.mart_product_purchases"
            ).pl(),
            connection.sql("select customer_id from core.dim_customers order by all").pl(),
            connection.sql(
                "select product_id, department, category, product_type from core.dim_products "
                "order by product_id"
            ).pl(),
            as_of_date=connection.sql("select as_of_date from raw.as_of").fetchall()[0][0],
            settings=replace(RecommendationSettings(), cut_offs=CUT_OFFS),
        )
    return recommender.metrics


def table(metrics: dict[str, Any]) -> Iterator[str]:
    """Yield the figures as a table in Markdown."""
    yield "| kind | cut-off | method | recall@10 (95 %) | bar | gain of the serving method | |"
    yield "|---|---|---|---|---|---|---|"
    for kind, found in metrics["kinds"].items():
        mean = {"as_of_date": "mean"} | found
        for number, one in enumerate([*found["cut_offs"], mean]):
            for name, (value, low, high) in one["recall"].items():
                serves = name == found["serving"]
                bar = BARS[kind] if serves and number == 0 else None
                gain = one["gain_over"].get(name)
                beaten = all(one["gain_over"][other][1] > 0 for other in found["baselines"])
                verdict = "" if bar is None else "passes" if high >= bar and beaten else "FAILS"
                yield (
                    f"| {kind} | {one['as_of_date']} | {name}{' (serves)' if serves else ''} "
                    f"| {value:.4f} ({low:.4f} – {high:.4f}) | {'' if bar is None else f'≥ {bar}'} "
                    f"| {'' if gain is None else '{:+.4f} ({:+.4f} – {:+.4f})'.format(*gain)} "
                    f"| {verdict} |"
                )


def departments(home: Path) -> Iterator[str]:
    """Yield how well departments are foreseen, by the mean over cut-offs, as a table."""
    import duckdb

    from ml.category_propensity import CUSTOMER_FACTS, CategorySettings, train_category_propensity

    names = ", ".join(("customer_id", "as_of_date", *CUSTOMER_FACTS))
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        metrics = train_category_propensity(
            connection.sql("from marts.mart_department_windows").pl(),
            connection.sql(f"select {names} from marts.mart_customer_features").pl(),
            settings=replace(CategorySettings(), cut_offs=CUT_OFFS),
        ).metrics
    yield "| departments, cut-off | predictor | measure | figure (95 %) | gain of the model |"
    yield "|---|---|---|---|---|"
    for one in [*metrics["cut_offs"], {"as_of_date": "mean"} | metrics]:
        for name, measures in one["intervals"].items():
            for measure, (value, low, high) in measures.items():
                gain = one["gain_over"].get(name, {}).get(measure)
                said = "" if gain is None else "{:+.4f} ({:+.4f} – {:+.4f})".format(*gain)
                figure = f"{value:.4f} ({low:.4f} – {high:.4f})"
                yield f"| {one['as_of_date']} | {name} | {measure} | {figure} | {said} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="a finished state folder")
    options = parser.parse_args(arguments)
    print("\n".join([*table(judged(options.home)), "", *departments(options.home)]))


if __name__ == "__main__":
    main()
