"""Learning m, u and the share of matches from counted patterns of agreement.

Here belongs the arithmetic, on counts alone: no record, no SQL, nothing personal. Patterns are
counted by `ml.matching_splink`.

The model is that of Fellegi and Sunter (1969, JASA 64), learned by expectation maximisation as in
Winkler (1988), with three differences that matter on real customers:

- *u is cleaned of the matches.* Pairs drawn at random hold some matches, and in a file of many
  duplicates most pairs with an equal birth date are matches. What EM takes for matches is
  subtracted from what was drawn, or else u is too large and every agreement counts for too little.
- *A household is a third class*, as in Larsen and Rubin (2001, JASA 96). Two people at one address
  share postcode, city, often surname and phone. Two classes multiply these as if each were a
  coincidence of its own, and call the two people one. The third class learns what people of one
  home have in common, and only what the home does not explain speaks for one person.
- *A town is a fourth.* Two strangers of one town share its postcode, its name and its state. They
  are so many that without a class of their own they take that of the homes, and the people of one
  home become matches.

EM runs over the pairs of all blocking rules together. A pair outside of them counts as
no match, so the share of matches is that among all pairs, and no field has to be left out
because a rule asked for its agreement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A level seen by nobody must not decide alone; in pairs, added where learning starts.
PRIOR_PAIRS = 5.0
# Known pairs are mostly copies (the same form, filled in by itself): they begin, not outvote.
KNOWN_PAIRS = 200.0
LEAST = 1e-9
# Twins, and sons named after their fathers: how often people of one home share what is their own.
# Learned, but slowly and not beyond a bound: the class could otherwise take the matches.
NAMESAKES, MOST_NAMESAKES, NAMESAKE_PAIRS = 0.002, 0.02, 200.0
ITERATIONS = 500
TOLERANCE = 1e-7


@dataclass(frozen=True)
class Patterns:
    """Distinct vectors of levels with the number of pairs that have each.

    `level[i, f]` counts from 0 = most alike; -1 where a side is empty. `known` are pairs already
    known to be one person.
    """

    level: np.ndarray
    pairs: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class FieldFacts:
    """What is known of a field before learning.

    `drawn` are its level frequencies in random pairs that have it on both sides, of which there
    are `pairs` in all; `family` those of random pairs that also share a word of the name, as a
    share of the same pairs. `m_start` and `home_start` are where learning starts, and what a level
    that nobody shows stays near.

    A field that is a person's own (`is_own`) is alike in one home only by chance, or by the chance
    that is left when the family name is the same: it is not learned freely, since the class of
    homes could otherwise take the matches. A field that is a key (`is_key`) learns nothing from
    known pairs: many are known because it agreed. Strangers of one town have its places in common
    (`is_place`) and all else by chance.

    The first `ways` levels are ways to write one value. Which of them is seen says how people
    write and not who they are: two people of one address, or of one name, write it in the same
    ways as one person does twice.
    """

    drawn: np.ndarray
    pairs: float
    m_start: np.ndarray
    home_start: np.ndarray
    family: np.ndarray | None = None
    is_own: bool = False
    is_place: bool = False
    is_key: bool = False
    ways: int = 0


@dataclass(frozen=True)
class Estimates:
    """Per field the probabilities of its levels: in one person, by chance, in a home and a town."""

    m: list[np.ndarray]
    u: list[np.ndarray]
    home: list[np.ndarray]
    town: list[np.ndarray]
    match_share: float  # of all pairs that are not known
    home_share: float
    town_share: float
    iterations: int
    probability: np.ndarray  # of each pattern


def estimate(
    candidates: Patterns,
    facts: Sequence[FieldFacts],
    all_pairs: float,
    *,
    with_homes: bool = True,
    learn_m: bool = True,
) -> Estimates:
    """Learn from the counted pairs of all blocking rules.

    `all_pairs` is how many there are among the records. Without `with_homes` there are neither
    homes nor towns, without `learn_m` m stays where it starts. Of one place alone no town is
    learned: chance says the same.
    """
    with_towns = with_homes and sum(fact.is_place for fact in facts) > 1
    m = [np.array(fact.m_start, dtype=float) for fact in facts]
    u = [_floored(fact.drawn) for fact in facts]
    home = [_home_start(fact, u[f]) for f, fact in enumerate(facts)] if with_homes else []
    town = [_in_town(fact, u[f], np.zeros(len(u[f]))) for f, fact in enumerate(facts)]
    town = town if with_towns else []
    filled = [candidates.level[:, f] >= 0 for f, _ in enumerate(facts)]
    known = candidates.known.astype(bool)
    unknown = np.where(known, 0.0, candidates.pairs)
    of_known = min(1.0, KNOWN_PAIRS / max(candidates.pairs[known].sum(), 1.0))
    taught = np.where(known, of_known, 1.0) * candidates.pairs
    match_share = min(0.25, 0.2 * np.sqrt(all_pairs)) / max(all_pairs, 1.0)
    match_share = max(match_share, 1e-3 * unknown.sum() / all_pairs)
    # Of one person, of one home, of one town.
    shares = np.array([match_share, match_share if home else 0.0, match_share if town else 0.0])
    iterations = 0
    for iterations in range(1, ITERATIONS + 1):  # noqa: B007
        p = _posterior(candidates.level, (m, home, town), u, shares)
        p[:, known] = [[1.0], [0.0], [0.0]]
        before = np.concatenate([*m, *home, *town, shares])
        shares = np.where(shares > 0, np.maximum(p @ unknown / all_pairs, 1e-12), 0.0)
        for f, fact in enumerate(facts):

            def counted(weights: np.ndarray, f: int = f) -> np.ndarray:
                seen = candidates.level[filled[f], f]
                return np.bincount(seen, weights=weights[filled[f]], minlength=len(m[f]))

            in_match, in_home, in_town = (counted(part * candidates.pairs) for part in p)
            if learn_m:
                of_matches = counted(p[0] * (unknown if fact.is_key else taught))
                m[f] = _with_prior(of_matches, fact.m_start)
            if home and fact.is_own:
                home[f] = _own_at_home(fact, u[f], home[f], in_match, in_home)
            elif home:
                home[f] = _with_prior(in_home, fact.home_start)
            u[f] = _cleaned(fact.drawn, (in_match + in_home + in_town) / max(fact.pairs, 1.0))
            if town:
                town[f] = _in_town(fact, u[f], in_town)
            for of_others in (u[f], *([home[f]] if home else []), *([town[f]] if town else [])):
                ways = m[f][: fact.ways]
                of_others[: fact.ways] = of_others[: fact.ways].sum() * ways / ways.sum()
        after = np.concatenate([*m, *home, *town, shares])
        if np.abs(after - before).max() < TOLERANCE:
            break
    p = _posterior(candidates.level, (m, home, town), u, shares)
    p[0, known] = 1.0
    return Estimates(m, u, home, town, *map(float, shares), iterations, p[0])


def _posterior(
    level: np.ndarray,
    classes: Sequence[Sequence[np.ndarray]],
    u: Sequence[np.ndarray],
    shares: np.ndarray,
) -> np.ndarray:
    """Return per class, the one of chance left out, and pattern how probable the class is."""
    parts = []
    for share, probabilities in [*zip(shares, classes, strict=True), (1 - shares.sum(), u)]:
        part = np.full(len(level), np.log(share) if share > 0 else -np.inf)
        for f, of_levels in enumerate(probabilities):
            there = level[:, f] >= 0
            part[there] += np.log(of_levels)[level[there, f]]
        parts.append(part)
    likelihood = np.exp(np.array(parts) - np.max(parts, axis=0))
    return likelihood[:-1] / likelihood.sum(axis=0)


def _with_prior(counts: np.ndarray, prior: np.ndarray) -> np.ndarray:
    return _floored((counts + PRIOR_PAIRS * prior) / (counts.sum() + PRIOR_PAIRS))


def _home_start(fact: FieldFacts, u: np.ndarray) -> np.ndarray:
    if not fact.is_own:
        return np.array(fact.home_start, dtype=float)
    none = np.zeros(len(u))
    return _own_at_home(fact, u, u, none, none)


def _in_town(fact: FieldFacts, u: np.ndarray, in_town: np.ndarray) -> np.ndarray:
    return _with_prior(in_town, fact.home_start) if fact.is_place else u.copy()


def _own_at_home(
    fact: FieldFacts, u: np.ndarray, before: np.ndarray, in_match: np.ndarray, in_home: np.ndarray
) -> np.ndarray:
    """Mix chance, the chance within one family name, and namesakes; only the shares are learned."""
    family_share, family = 0.0, u
    if fact.family is not None:
        family = _cleaned(fact.family, in_match / max(fact.pairs, 1.0))
        # One step of EM for the share: before = share * family + (1 - share) * chance.
        direction = family - u
        share = np.clip((before - u) @ direction / max(direction @ direction, LEAST), 0.05, 0.95)
        of_family = share * family / (share * family + (1 - share) * u)
        family_share = ((in_home * of_family).sum() + PRIOR_PAIRS / 2) / (
            in_home.sum() + PRIOR_PAIRS
        )
    mixed = family_share * family + (1 - family_share) * u
    # What is equal more often than by chance; few pairs say little of it.
    beyond = max(in_home[0] - mixed[0] * in_home.sum(), 0.0) + NAMESAKE_PAIRS * NAMESAKES
    namesakes = min(beyond / (in_home.sum() + NAMESAKE_PAIRS), MOST_NAMESAKES)
    mixed *= 1 - namesakes
    mixed[0] += namesakes
    return _floored(mixed)


def _cleaned(drawn: np.ndarray, explained: np.ndarray) -> np.ndarray:
    """Subtract from what was drawn the pairs that are matches or of one home."""
    # What was drawn is uncertain itself: a subtraction must not make an agreement impossible.
    return _floored(np.maximum(drawn - explained, 0.02 * drawn))


def _floored(probabilities: np.ndarray) -> np.ndarray:
    raised = np.maximum(probabilities, LEAST)
    return raised / raised.sum()
