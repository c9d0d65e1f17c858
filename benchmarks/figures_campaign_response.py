"""How well the redeemers of a campaign are foreseen on published data, beside the bars.

What belongs here: the data set, the cut-offs, and which figure stands against which bar. What does
not: the method (`ml.campaign_response`).

`python -m benchmarks.figures_campaign_response --home FOLDER` wants a finished state folder of the
Complete Journey. Features, penalty and the size of trees were chosen on campaigns that began before
September 2017: those of the last two cut-offs, and that of 2017-08-08 by those that had ended
before it. The figures from September on are not quite blind: they were looked at in between, that
manufacturers' coupons at the till are counted was tried, on those earlier campaigns, after a weak
figure there; folds of customers for the calibration were, after a weak one on 2017-06-26.
Campaigns that were still running at the end of the data are not judged.
"""

import argparse
import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

BARS = {"roc_auc": 0.839, "pr_auc": 0.566}
# Cut-off, and the day before which the judged campaigns began; the first one has the bars.
CUT_OFFS = (
    (dt.date(2017, 9, 1), dt.date(2018, 1, 1)),
    (dt.date(2017, 6, 26), dt.date(2017, 8, 1)),
    (dt.date(2017, 5, 8), dt.date(2017, 8, 1)),
)


def judged(home: Path) -> Iterator[dict[str, Any]]:
    """Train and judge at each cut-off on a finished state folder; yields the metrics."""
    import duckdb
    import polars as pl

    from dagster_project.feature_dictionary import feature_policies
    from dagster_project.settings import PROJECT_DIR
    from ml.campaign_response import CUSTOMER_FACTS, train_campaign_response

    names = ", ".join(("customer_id", "as_of_date", *CUSTOMER_FACTS))
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        responses = connection.sql("from marts.mart_campaign_responses").pl()
        features = connection.sql(f"select {names} from marts.mart_customer_features").pl()
    for cut_off, until in CUT_OFFS:
        yield train_campaign_response(
            responses.filter(pl.col("started_date") < until),
            features,
            policies=feature_policies(PROJECT_DIR),
            cut_off=cut_off,
        ).metrics


def table(cut_offs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the figures as a table in Markdown."""
    yield "| from | sent | redeemed | predictor | measure | figure (95 %) | bar | gain | |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for number, one in enumerate(cut_offs):
        sent, share = one["row_counts"]["holdout"], one["base_rate"]
        for name, measures in one["intervals"].items():
            for measure, (value, low, high) in measures.items():
                bar = BARS.get(measure) if name == "model" and number == 0 else None
                gain = one["gain_over"].get(name, {}).get(measure)
                beaten = all(
                    one["gain_over"][other][measure][1] > 0
                    for other in ("past_share_only", "rfm_logistic")
                )
                verdict = "" if bar is None else "passes" if high >= bar and beaten else "FAILS"
                yield (
                    f"| {one['holdout_date']} | {sent} | {share:.3f} | {name} | {measure} "
                    f"| {value:.4f} ({low:.4f} – {high:.4f}) | {'' if bar is None else f'≥ {bar}'} "
                    f"| {'' if gain is None else '{:+.4f} ({:+.4f} – {:+.4f})'.format(*gain)} "
                    f"| {verdict} |"
                )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="a finished state folder")
    options = parser.parse_args(arguments)
    print("\n".join(table(list(judged(options.home)))))


if __name__ == "__main__":
    main()
