"""Products that may be offered to customers, and the facts that they are ranked by.

Here belongs the frame of candidates that both kinds of recommendation share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Candidates:
    """One entry per customer and product; a row of `matrix` has the facts called `names`."""

    customer: np.ndarray
    product: np.ndarray
    matrix: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.customer)

    def column(self, name: str) -> np.ndarray:
        """Return one fact."""
        return self.matrix[:, self.names.index(name)].astype(np.float64)

    def keys(self, product_count: int) -> np.ndarray:
        """Return each pair as one number, as `Purchases.keys` does."""
        return self.customer.astype(np.int64) * product_count + self.product

    def scaled(self) -> np.ndarray:
        """Return the facts as a learner reads them: no fact is negative, and most are skewed."""
        return np.log1p(np.maximum(self.matrix.astype(np.float64), 0))

    def take(self, places: np.ndarray) -> Candidates:
        """Return some of the candidates."""
        return Candidates(
            self.customer[places], self.product[places], self.matrix[places], self.names
        )

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Return the candidates of several groups of customers as one."""
        return cls(
            np.concatenate([part.customer for part in parts]),
            np.concatenate([part.product for part in parts]),
            np.concatenate([part.matrix for part in parts]),
            parts[0].names,
        )
