"""How lists of products are ranked: what a recommender keeps in a file, and how two are compared.

Here belong the rankers of both kinds, their parts, and the recall that decides between two models.
What is known of products (who bought what lately, which go together) is no part of a model: it is
counted anew every day, as features are. Training and the choice of the method belong to
`ml.recommendation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.averaged_pair import AveragedPair
from ml.calibration import calibrated
from ml.candidates import Candidates
from ml.cross_sell import CrossSell
from ml.repeat_purchase import RepeatPurchase

KINDS: dict[str, type[RepeatPurchase] | type[CrossSell]] = {
    "repeat": RepeatPurchase,
    "cross_sell": CrossSell,
}
BLEND = "blend"


@dataclass(frozen=True)
class Ranker:
    """The method of one kind: a view with its parameter, and the blend once it is fitted."""

    method: str
    parameters: Mapping[str, Any]
    blend: AveragedPair | None

    def by(self, method: str) -> Ranker:
        """Return the ranker that serves by one method and keeps no more than that needs."""
        return Ranker(method, self.parameters, self.blend if method == BLEND else None)

    def score(self, source: Any, found: Candidates) -> np.ndarray:
        """Return the score of every candidate by the method that serves."""
        return self.scores(source, found, [self.method])[self.method]

    def scores(
        self, source: Any, found: Candidates, methods: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the scores by every method, or by some; the blend's is a probability."""
        said = {
            name: variants[self.parameters[name]]
            for name, variants in source.singles(found).items()
            if methods is None or name in methods
        }
        if self.blend is not None and (methods is None or BLEND in methods):
            odds = self.blend.log_odds(found.scaled(), found.names)
            said = {BLEND: calibrated(odds)} | said
        return said

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores."""
        return {
            "method": self.method,
            "parameters": dict(self.parameters),
            "blend": self.blend.as_parts() if self.blend else None,
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, Any]) -> Ranker:
        """Rebuild the ranker from its parts."""
        blend = AveragedPair.from_parts(parts["blend"]) if parts["blend"] else None
        return cls(parts["method"], parts["parameters"], blend)


@dataclass(frozen=True)
class RecommendationModel:
    """A ranker of each kind.

    `twin` is the same method, trained and chosen by the day of the holdout and judged there.
    `trained_on` is the digest (`ml.trained_on`) of all customers that either has learned from.
    """

    rankers: Mapping[str, Ranker]
    trained_until: str
    trained_on: np.ndarray
    twin: RecommendationModel | None = None

    def as_parts(self) -> dict[str, Any]:
        """Return what `ml.artifacts.save` stores; no customer's purchases are in it."""
        return {
            "rankers": {kind: ranker.as_parts() for kind, ranker in self.rankers.items()},
            "trained_until": self.trained_until,
            "trained_on": self.trained_on,
            "twin": self.twin.as_parts() if self.twin else None,
        }

    @classmethod
    def from_parts(cls, features: Sequence[str], parts: dict[str, Any]) -> RecommendationModel:
        """Rebuild the model from what `ml.artifacts.load` returns."""
        return cls(
            rankers={kind: Ranker.from_parts(parts["rankers"][kind]) for kind in KINDS},
            trained_until=parts["trained_until"],
            trained_on=parts["trained_on"],
            twin=cls.from_parts(features, parts["twin"]) if parts["twin"] else None,
        )


class RecallOfKinds:
    """Recalls of lists, a row per customer and kind: the outcome is the kind's place in `KINDS`.

    A customer who bought nothing of a kind has NaN there. Between two models the mean over kinds
    decides, and no kind may suffer.
    """

    not_worse = tuple(f"{kind}_recall" for kind in KINDS)
    criterion = "recall"
    measures = (criterion, *not_worse)
    lower_is_better: frozenset[str] = frozenset()

    def __init__(self, outcome: np.ndarray, score: np.ndarray) -> None:
        self.known = [(outcome == place) & ~np.isnan(score) for place in range(len(KINDS))]
        self.score = np.nan_to_num(score)

    def measure(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Return each measure for each row of `times`, the weights of the rows as they came."""
        # Nobody bought anything of a kind: nothing was missed, and no model is better at it.
        each = [
            (times[:, known] @ self.score[known]) / np.maximum(times[:, known].sum(axis=1), 1)
            for known in self.known
        ]
        values = (np.mean(each, axis=0), *each)
        return dict(zip(self.measures, values, strict=True))
