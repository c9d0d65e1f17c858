"""Why a customer has its score, in plain words.

Here belong the sum of what single features add into reasons that a person would give, the choice of
the three strongest, their words, and the importance of features over all customers. How much a
feature adds is the model's business (`contributions`), and is exact: what all features add sums to
the log odds of the score, and so do all reasons.

Features of one subject are one reason. Thirty columns tell of the same few habits, and a linear
model balances them against each other: one by one they would seem strong and opposed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

CHUNK_ROWS = 50_000
REASONS = ("reason_1", "reason_2", "reason_3")
RAISES, LOWERS = "raises the risk", "lowers the risk"
# Less than this moves no score by a digit that is shown.
LEAST = 1e-6

Words = Callable[[pl.Expr], pl.Expr]


class Explained(Protocol):
    """A model that can be taken apart."""

    features: tuple[str, ...]

    def matrix(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the numbers that the model reads of each row."""

    def contributions(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what each row starts from and what each feature adds."""


def _count(template: str) -> Words:
    """`{} order{s} in 90 days` for a whole number."""
    one, many = template.replace("{s}", ""), template.replace("{s}", "s")
    return lambda value: (
        pl.when(value == 1)
        .then(pl.format(one, _whole(value)))
        .otherwise(pl.format(many, _whole(value)))
    )


def _ago(event: str) -> Words:
    """`last order 3 days ago`, or `last order today`."""
    ago = _count(event + " {} day{s} ago")
    return lambda days: pl.when(days == 0).then(pl.lit(f"{event} today")).otherwise(ago(days))


def _whole(value: pl.Expr) -> pl.Expr:
    return value.round(0).cast(pl.Int64)


def _amount(template: str) -> Words:
    return lambda value: pl.format(template, _whole(value))


def _share(template: str) -> Words:
    return lambda value: pl.format(template, _whole(value.cast(pl.Float64) * 100))


@dataclass(frozen=True)
class Theme:
    """One subject: which features tell of it, and the words for what they tell.

    Of `words`, those whose column is there and not empty are put together; `otherwise` is said when
    none is. Where the first is zero there is nothing to go into, and `nothing` is said.
    """

    name: str
    prefixes: tuple[str, ...]
    words: tuple[tuple[str, Words], ...]
    otherwise: str
    nothing: str | None = None

    def has(self, feature: str) -> bool:
        """Whether the feature tells of this subject."""
        return feature.startswith(self.prefixes)

    def text(self, columns: Sequence[str]) -> pl.Expr:
        """Return the words for a row of a frame with these columns."""
        said = [words(pl.col(column)) for column, words in self.words if column in columns]
        if not said:
            return pl.lit(self.otherwise)
        together = pl.concat_str(said, separator=", ", ignore_nulls=True)
        text = pl.when(together != "").then(together).otherwise(pl.lit(self.otherwise))
        first = self.words[0][0]
        if self.nothing is None or first not in columns:
            return text
        return pl.when(pl.col(first) == 0).then(pl.lit(self.nothing)).otherwise(text)


THEMES: tuple[Theme, ...] = (
    Theme(
        "rhythm",
        ("recency_", "mean_gap_", "gap_"),
        (
            ("mean_gap_days", _count("bought every {} day{s}")),
            ("recency_days", _ago("last order")),
        ),
        "no rhythm of orders yet",
    ),
    Theme(
        "orders",
        ("order_count_", "purchase_day_count_", "active_week_count_"),
        (
            ("order_count_90d", _count("{} order{s} in 90 days")),
            ("order_count_28d", _count("{} in the last 28")),
            ("order_count_prior_28d", _count("{} in the 28 before")),
            ("order_count_season_28d", _count("{} in the 28 to come a year ago")),
        ),
        "how often it orders",
        "no order in 90 days",
    ),
    Theme(
        "spend",
        ("spend_amount_", "average_order_amount", "margin_amount_"),
        (
            ("spend_amount_90d", _amount("spent {} in 90 days")),
            ("spend_amount_28d", _amount("{} in the last 28")),
            ("spend_amount_prior_28d", _amount("{} in the 28 before")),
        ),
        "how much it spends",
        "nothing spent in 90 days",
    ),
    Theme(
        "tenure",
        ("tenure_",),
        (("tenure_days", _ago("first order")),),
        "how long it is a customer",
    ),
    Theme(
        "variety",
        ("item_count_", "items_per_", "distinct_", "department_", "top_department_"),
        (
            ("distinct_product_count_90d", _count("{} product{s} in 90 days")),
            ("distinct_department_count_90d", _count("of {} department{s}")),
        ),
        "what is in its baskets",
        "nothing bought in 90 days",
    ),
    Theme(
        "offers",
        ("discount_", "coupon_", "campaign_"),
        (
            ("discount_share_90d", _share("{} % discount in 90 days")),
            ("coupon_redemption_count_90d", _count("{} coupon{s} used")),
            ("campaign_contact_count_90d", _count("sent {} campaign{s}")),
        ),
        "no offer in 90 days",
    ),
    Theme(
        "returns",
        ("return_",),
        (("return_count_365d", _count("{} return{s} in a year")),),
        "what it brings back",
        "nothing brought back in a year",
    ),
    Theme(
        "places",
        ("store_", "home_store_", "weekend_", "evening_", "remote_"),
        (
            ("store_count_90d", _count("bought in {} store{s}")),
            ("weekend_share_90d", _share("{} % at weekends")),
        ),
        "where and when it buys",
        "in no store for 90 days",
    ),
    Theme(
        "visits",
        (
            "session_",
            "last_session_",
            "view_",
            "search_",
            "cart_",
            "abandoned_",
            "pages_",
            "dwell_",
            "funnel_",
            "app_",
        ),
        (
            ("session_count_30d", _count("{} visit{s} to web or app in 30 days")),
            ("last_session_days", _ago("the last")),
            ("abandoned_cart_count_30d", _count("{} cart{s} left behind")),
        ),
        "no visit to web or app measured",
    ),
    Theme(
        "messages",
        ("message_", "open_", "click_", "last_open_"),
        (
            ("message_count_90d", _count("{} message{s} in 90 days")),
            ("open_share_90d", _share("opened {} % of them")),
        ),
        "no message measured",
        "no message in 90 days",
    ),
    Theme(
        "survey",
        ("nps_",),
        (("nps_score_365d", _count("gave {} of 10 points in the survey")),),
        "no answer to the survey",
    ),
)


def theme_of(feature: str) -> Theme:
    """Return the subject that a feature tells of; one that nobody named is a subject of its own."""
    for theme in THEMES:
        if theme.has(feature):
            return theme
    words = feature.replace("_", " ")

    def said(value: pl.Expr) -> pl.Expr:
        return pl.format(words + ": {}", value.cast(pl.Float64).round(2))

    return Theme(feature, (feature,), ((feature, said),), f"{words}: not known")


def explain(
    model: Explained, frame: pl.DataFrame, chunk_rows: int = CHUNK_ROWS
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return reason_1 to reason_3 of every row in its order, and the importance of the features.

    A reason is the words of a subject and whether it raises or lowers the risk, the strongest
    first; it is empty when nothing is left that moves the score.
    """
    themes, membership = _themes(model.features)
    texts = [theme.text(frame.columns) for theme in themes]
    reasons, weight = [], np.zeros(len(model.features))
    for chunk in frame.iter_slices(chunk_rows):
        _, added = model.contributions(model.matrix(chunk))
        weight += np.abs(added).sum(axis=0)
        reasons.append(_reasons(chunk, texts, added @ membership))
    empty = pl.DataFrame(schema=dict.fromkeys(REASONS, pl.String))
    return pl.concat([empty, *reasons]), _importance(model.features, weight, frame.height)


def contributions_by_theme(
    model: Explained, frame: pl.DataFrame
) -> tuple[np.ndarray, pl.DataFrame]:
    """Return what each row starts from and, a column a subject, what is added to its log odds."""
    themes, membership = _themes(model.features)
    start, added = model.contributions(model.matrix(frame))
    return start, pl.DataFrame(added @ membership, schema=[theme.name for theme in themes])


def _themes(features: Sequence[str]) -> tuple[list[Theme], np.ndarray]:
    of_feature = [theme_of(feature) for feature in features]
    themes = list({theme.name: theme for theme in of_feature}.values())
    place = {theme.name: number for number, theme in enumerate(themes)}
    membership = np.zeros((len(features), len(themes)))
    membership[np.arange(len(features)), [place[theme.name] for theme in of_feature]] = 1
    return themes, membership


def _reasons(chunk: pl.DataFrame, texts: Sequence[pl.Expr], added: np.ndarray) -> pl.DataFrame:
    strongest = np.argsort(-np.abs(added), axis=1, kind="stable")[:, : len(REASONS)]
    chosen = {}
    for place, name in enumerate(REASONS):
        if place >= strongest.shape[1]:
            chosen[name] = pl.lit(None, dtype=pl.String)
            continue
        number = strongest[:, place]
        much = added[np.arange(len(added)), number]
        which = pl.lit(pl.Series(np.where(np.abs(much) < LEAST, -1, number)))
        direction = pl.lit(pl.Series(np.where(much > 0, RAISES, LOWERS)))
        said = pl.coalesce(pl.when(which == theme).then(text) for theme, text in enumerate(texts))
        chosen[name] = pl.format("{} ({})", said, direction)
    return chunk.select(**chosen)


def _importance(features: Sequence[str], weight: np.ndarray, rows: int) -> pl.DataFrame:
    total = weight.sum()
    return (
        pl.DataFrame(
            {
                "feature": list(features),
                "subject": [theme_of(feature).name for feature in features],
                "mean_log_odds": weight / max(rows, 1),
                "share": weight / total if total else weight,
            }
        )
        .with_columns(pl.col("mean_log_odds", "share").round(6))
        .sort("mean_log_odds", "feature", descending=[True, False])
    )
