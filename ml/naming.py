"""Names for clusters, by rule from their profile beside that of all customers.

Here belong the words and the thresholds behind them. The same profile beside the same customers
gets the same name, whatever its cluster number was, and a name that a cluster has is kept as long
as it is nearly earned: a profile that lies at a border of two words would change them day by day. A
name says what the customers do; what to do about it is a segment's business.

The rules read medians, so that one very large account does not rename its cluster, and ratios to
the median of all customers, so that the words mean the same in a grocery and in a furniture shop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import polars as pl

MEASURES = ("recency_days", "frequency", "monetary_amount")
WINDOW_DAYS = 365  # frequency and monetary value are counted over this window

HIGH = 1.5  # times the median of all customers
LOW = 2 / 3
LATE = 3.0  # recency as a multiple of everyone's
VERY_LATE = 8.0
# A customer is overdue when the silence lasts longer than their own rhythm allows: without this,
# everyone who shops monthly would be called lapsing in a shop where most come weekly.
OVERDUE = 1.2
# Being late by ratio alone is no news in a shop where everyone came yesterday ...
QUIET_DAYS = 28
WEEK = 7
# ... and half a window of silence is, even where everyone is slow.
LONG_QUIET_DAYS = WINDOW_DAYS // 2
LONG_QUIET = 2.0
# A kept name stays while a profile this much off would still earn it.
SLACK = 1.15

# measure → words for the lower and the upper of two clusters of one name, then for three
_QUALIFIERS = {
    "recency_days": (
        ("bought recently", "quieter lately"),
        ("bought recently", "some time since last purchase", "longest since last purchase"),
    ),
    "frequency": (
        ("fewer orders", "more orders"),
        ("fewest orders", "middling orders", "most orders"),
    ),
    "monetary_amount": (
        ("lower spend", "higher spend"),
        ("lowest spend", "middling spend", "highest spend"),
    ),
}
# "Big spenders, lower spend" would contradict itself.
_SPENDER_TIERS = (("second tier", "top tier"), ("third tier", "second tier", "top tier"))
_RANKED = {"recency_days": "recency", "frequency": "order", "monetary_amount": "spend"}


@dataclass(frozen=True)
class Profile:
    """Median recency, frequency and monetary value of a cluster, or of all customers."""

    recency_days: float
    frequency: float
    monetary_amount: float

    def ratio(self, measure: str, everyone: Profile) -> float:
        """Compare with all customers; the added 1 keeps zero days and zero orders comparable."""
        own, all_ = getattr(self, measure), getattr(everyone, measure)
        return (max(own, 0.0) + 1) / (max(all_, 0.0) + 1)

    @property
    def overdue(self) -> float:
        """Silence as a multiple of the cluster's own gap between orders before it."""
        busy_days = max(WINDOW_DAYS - self.recency_days, 1.0)
        return self.recency_days * self.frequency / busy_days


def name_of(profile: Profile, everyone: Profile) -> str:
    """Name one cluster by its own profile; two clusters may get the same name here."""
    late = profile.ratio("recency_days", everyone)
    often = profile.ratio("frequency", everyone)
    money = profile.ratio("monetary_amount", everyone)
    silence = profile.recency_days
    gone_quiet = (late >= VERY_LATE and silence >= QUIET_DAYS) or (
        late >= LONG_QUIET and silence >= LONG_QUIET_DAYS
    )
    if gone_quiet or (late >= LATE and profile.overdue >= OVERDUE):
        if often >= HIGH or money >= HIGH:
            return "Valued customers slipping away"
        return "Gone quiet" if gone_quiet else "Slipping away"
    if often >= HIGH:
        return "Loyal big spenders" if money >= HIGH else "Frequent small-basket shoppers"
    if money >= HIGH:
        return "Occasional big spenders" if often <= LOW else "Regular big spenders"
    if often <= LOW:
        return "Occasional shoppers"
    return "Regular light spenders" if money <= LOW else "Regular shoppers"


def name_clusters(
    profiles: pl.DataFrame,
    everyone: Mapping[str, float],
    kept: Mapping[int, str] | None = None,
) -> dict[int, str]:
    """Name every cluster, each differently.

    `profiles` has one row per cluster with the medians of `MEASURES`, `everyone` the medians of all
    customers, `kept` the names that clusters have so far. Clusters that earn the same name are told
    apart by the measure in which they differ most ("Regular shoppers, higher spend").
    """
    kept = kept or {}
    overall = Profile(**{measure: float(everyone[measure]) for measure in MEASURES})
    shared: dict[str, list[tuple[int, Profile]]] = {}
    for row in profiles.sort("cluster_id").iter_rows(named=True):
        profile = Profile(**{measure: float(row[measure]) for measure in MEASURES})
        name = name_of(profile, overall)
        before = kept.get(row["cluster_id"], "").split(",")[0]
        if before != name and before in _nearly_earned(profile, overall):
            name = before
        shared.setdefault(name, []).append((row["cluster_id"], profile))
    names: dict[int, str] = {}
    for name, members in shared.items():
        if len(members) == 1:
            names[members[0][0]] = name
            continue
        ways = [
            _told_apart(name, measure, members)
            for measure in sorted(MEASURES, key=lambda m: -_spread(m, members))
        ]
        so_far = {cluster_id: kept.get(cluster_id) for cluster_id, _ in members}
        # Another measure may differ more today; the words in use stay while they are true.
        names |= so_far if so_far in ways else ways[0]
    return names


def _nearly_earned(profile: Profile, everyone: Profile) -> set[str]:
    """Return the names that a profile a little off would get."""
    return {
        name_of(
            replace(
                profile,
                **{
                    measure: getattr(profile, measure) * factor
                    for measure, factor in zip(MEASURES, factors, strict=True)
                },
            ),
            everyone,
        )
        for factors in product((1 / SLACK, 1.0, SLACK), repeat=len(MEASURES))
    }


def _told_apart(name: str, measure: str, members: list[tuple[int, Profile]]) -> dict[int, str]:
    ordered = sorted(members, key=lambda member: (getattr(member[1], measure), member[0]))
    return {
        cluster_id: f"{name}, {_qualifier(name, measure, place, len(ordered))}"
        for place, (cluster_id, _) in enumerate(ordered)
    }


def _spread(measure: str, members: list[tuple[int, Profile]]) -> float:
    # Two days instead of none are three times as many, and yet no silence.
    least = WEEK if measure == "recency_days" else 1
    values = [max(getattr(profile, measure), 0.0) + least for _, profile in members]
    return max(values) / min(values)


def _qualifier(name: str, measure: str, place: int, count: int) -> str:
    if count <= 3:
        if measure == "monetary_amount" and "spender" in name:
            return _SPENDER_TIERS[count - 2][place]
        return _QUALIFIERS[measure][count - 2][place]
    return f"{_RANKED[measure]} level {place + 1} of {count}"
