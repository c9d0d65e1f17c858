"""Which clustering is taken, and why each other one is not.

Here belong the limits, the order of the evidence and the words of the reasons. What is tried and
how it is measured is `ml.cluster_candidates`'s business.

First come limits that a clustering cannot talk its way out of: it comes back under resampling, and
has neither a splinter nor a giant. Of those that hold, the one counts that says most of the next
period; others that say as much within noise stand beside it, and only among these the silhouette
decides. Silhouette alone is happiest with one huge cluster and a few outliers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ml.cluster_candidates import Candidate, ClusterSettings, Period, candidates, power, stability
from ml.errors import CustomersAlike
from ml.feature_policy import FeaturePolicy
from ml.model_runs import as_figures
from ml.threads import one_thread

DRAWS = 200

COLUMNS = {
    "view": pl.String,
    "method": pl.String,
    "asked": pl.Float64,
    "k": pl.Int64,
    "stability": pl.Float64,
    "stability_error": pl.Float64,
    "smallest_share": pl.Float64,
    "largest_share": pl.Float64,
    "repurchase_roc_auc": pl.Float64,
    "spend_explained_share": pl.Float64,
    "silhouette": pl.Float64,
    "is_chosen": pl.Boolean,
    "reason": pl.String,
}


def choose(
    fitting: pl.DataFrame,
    today: pl.DataFrame,
    chain: Sequence[Period],
    policies: Mapping[str, FeaturePolicy],
    settings: ClusterSettings,
) -> tuple[Candidate, pl.DataFrame]:
    """Return the clustering to be published, and one row per candidate with the reason.

    `chain` may be empty: a company that has no finished period yet is clustered without judging
    what the clusters say of it.

    Raises:
        CustomersAlike: no candidate tells any customers apart.

    """
    with one_thread():
        found = list(candidates(fitting, today, chain, policies, settings))
        fitted = [one for one in found if one.label is not None]
        if not fitted:
            raise CustomersAlike(
                f"no groups among {fitting.height} customers: {found[0].figures['failed']}"
            )
        broken = {id(one): _broken_sizes(one, settings) for one in fitted}
        ranked = sorted(fitted, key=_merit, reverse=True)
        holding, equal = _best([one for one in ranked if not broken[id(one)]], chain, settings)
        if equal:
            chosen = max(equal, key=lambda one: (one.figures["silhouette"], _merit(one)))
        else:
            # Customers must still be grouped; the report says that the limits were not met.
            chosen = min(ranked, key=lambda one: (len(broken[id(one)]), -_stability(one)))
            _measure(chosen, settings)
    rows = [
        as_figures(
            {name: one.figures.get(name) for name in COLUMNS}
            | {"view": one.view, "method": one.method, "asked": float(one.asked)}
        )
        | {
            "is_chosen": one is chosen,
            "reason": _reason(one, chosen, holding, equal, broken.get(id(one), []), settings),
        }
        for one in found
    ]
    return chosen, pl.DataFrame(rows, schema=COLUMNS)


def _best(
    ranked: Sequence[Candidate], chain: Sequence[Period], settings: ClusterSettings
) -> tuple[list[Candidate], list[Candidate]]:
    """Return the stable candidates, and which of them say as much as the best within noise.

    Resampling is dear, so it is asked of the most telling first, and of nobody who could not win.
    """
    times = _drawn(chain[: settings.cut_offs], settings.seed)
    stable: list[Candidate] = []
    equal: list[Candidate] = []
    for one in ranked:
        if stable and not (one.told and _is_equal(stable[0], one, chain, times)):
            continue
        _measure(one, settings)
        if not _unstable(one, settings):
            stable.append(one)
            equal.append(one)
    return stable, equal


def _measure(one: Candidate, settings: ClusterSettings) -> None:
    if "stability" not in one.figures:
        one.figures |= stability(one, settings)


def _merit(one: Candidate) -> float:
    """How much of the next period the cluster tells, from 0 to 1; without one, the silhouette."""
    if not one.told:
        return one.figures["silhouette"]
    figures = one.figures
    return (2 * figures["repurchase_roc_auc"] - 1 + figures["spend_explained_share"]) / 2


def _stability(one: Candidate) -> float:
    return one.figures.get("stability", 0.0)


def _drawn(chain: Sequence[Period], seed: int) -> list[np.ndarray]:
    """Draw customers, each with all of its periods, as weights of the rows."""
    if not chain:
        return []
    ids = pl.concat([period.rows["customer_id"] for period in chain]).unique(maintain_order=True)
    place = pl.DataFrame({"customer_id": ids}).with_row_index("place")
    random = np.random.default_rng(seed)
    count = np.stack(
        [
            np.bincount(random.integers(len(ids), size=len(ids)), minlength=len(ids))
            for _ in range(DRAWS)
        ]
    ).astype(np.float64)
    return [
        count[
            :,
            period.rows.select("customer_id")
            .join(place, on="customer_id", how="left", maintain_order="left")["place"]
            .to_numpy(),
        ]
        for period in chain
    ]


def _is_equal(
    best: Candidate, other: Candidate, chain: Sequence[Period], times: Sequence[np.ndarray]
) -> bool:
    """Whether the difference is within its standard error: both are judged on the same draws."""
    gap = _drawn_merit(best, chain, times) - _drawn_merit(other, chain, times)
    gap = gap[np.isfinite(gap)]
    return not len(gap) or _merit(best) - _merit(other) <= gap.std()


def _drawn_merit(
    one: Candidate, chain: Sequence[Period], times: Sequence[np.ndarray]
) -> np.ndarray:
    drawn = np.mean(
        [
            power(chance, label, period, weights)
            for (chance, label), period, weights in zip(one.told, chain, times, strict=False)
        ],
        axis=0,
    )
    return (2 * drawn[:, 0] - 1 + drawn[:, 1]) / 2


def _broken_sizes(one: Candidate, settings: ClusterSettings) -> list[str]:
    figures, broken = one.figures, []
    if not settings.least_k <= figures["k"] <= settings.most_k:
        broken.append(f"{figures['k']} groups, {settings.least_k} to {settings.most_k} are wanted")
    if figures["smallest_share"] < settings.least_share:
        broken.append(
            f"a cluster of {figures['smallest_share']:.1%}, "
            f"at least {settings.least_share:.0%} needed"
        )
    if figures["largest_share"] > settings.most_share:
        broken.append(
            f"a cluster of {figures['largest_share']:.1%}, "
            f"at most {settings.most_share:.0%} allowed"
        )
    return broken


def _unstable(one: Candidate, settings: ClusterSettings) -> list[str]:
    """The limit must be reached beyond noise: another draw of resamples would find the same."""
    if "stability" not in one.figures:
        return []
    sure = one.figures["stability"] - 2 * one.figures["stability_error"]
    if sure >= settings.least_stability:
        return []
    return [
        f"not stable: agreement under resampling {one.figures['stability']:.2f} "
        f"± {one.figures['stability_error']:.2f}, {settings.least_stability:g} needed"
    ]


def _reason(
    one: Candidate,
    chosen: Candidate,
    holding: Sequence[Candidate],
    equal: Sequence[Candidate],
    sizes: Sequence[str],
    settings: ClusterSettings,
) -> str:
    if one.label is None:
        return one.figures["failed"]
    broken = [*sizes, *_unstable(one, settings)]
    if one is chosen:
        if broken:
            return "chosen although no candidate holds all limits: " + "; ".join(broken)
        if not one.told:
            return "chosen: holds all limits and is best separated; no finished period to judge by"
        return (
            "chosen: holds all limits, says most of the next period within noise, "
            "and of those is best separated"
        )
    if broken:
        return "; ".join(broken)
    if holding and (not one.told or any(one is other for other in equal)):
        return (
            f"{'says as much of the next period, but ' if one.told else ''}less well separated: "
            f"silhouette {one.figures['silhouette']:.2f} against "
            f"{chosen.figures['silhouette']:.2f} of {chosen.name}"
        )
    if not holding:
        return f"no candidate holds all limits, and {chosen.name} comes nearest"
    best = holding[0]
    return (
        f"says less of the next period than {best.name}: ROC "
        f"{one.figures['repurchase_roc_auc']:.3f} against "
        f"{best.figures['repurchase_roc_auc']:.3f}, explained spend "
        f"{one.figures['spend_explained_share']:.2f} against "
        f"{best.figures['spend_explained_share']:.2f}"
    )
