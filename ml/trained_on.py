"""Whose rows a model was trained on, as short as can still be checked.

Here belongs the digest that a model file carries: for each customer the first 64 bits of a hash
of its pseudonym, sorted. Whoever holds a pseudonym can ask whether the model learned from it; from
the digest alone nobody can list pseudonyms, and it is useless outside of this warehouse. Two in a
million customers share a digest with a chance of one in ten million, and then the answer errs on
the side of "trained on".

Pseudonyms are those of the day of training. To ask for a person of today, ask for every
identifier that `identity.person_identifier_history` has of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def digest_of(pseudonyms: Iterable[str]) -> np.ndarray:
    """Return the sorted digest of the distinct pseudonyms; it takes eight bytes each."""
    return np.unique(_hashes(pseudonyms))


def are_in(digest: np.ndarray, pseudonyms: Iterable[str]) -> np.ndarray:
    """Return for each pseudonym whether the digest has it."""
    asked = _hashes(pseudonyms)
    if not len(digest):
        return np.zeros(len(asked), dtype=bool)
    place = np.minimum(np.searchsorted(digest, asked), len(digest) - 1)
    return digest[place] == asked


def _hashes(pseudonyms: Iterable[str]) -> np.ndarray:
    joined = b"".join(
        hashlib.blake2b(str(pseudonym).encode(), digest_size=8).digest() for pseudonym in pseudonyms
    )
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64)
