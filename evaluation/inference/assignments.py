"""The ways in which a treatment could have been dealt to clusters within blocks: all of them, or a sample without repeats."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

# Where assignments outnumber those wanted by less than this, they are numbered and numbers are sampled.
FEW_TIMES = 10
# Cells of one batch of assignments by clusters (32 MB).
BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Assignments:
    """Assignments of a treatment to clusters.

    Attributes
    ----------
    possible : int
        How many there are.
    enumerated : bool
        True: `given` holds all of them; False: a sample without repeats and without the observed one.
    floor : float
        Smallest two-sided p-value that they allow.
    given : ndarray of bool, shape (R, G)
    """

    possible: int
    enumerated: bool
    floor: float
    given: np.ndarray

    def columns(self, step: int) -> Iterator[np.ndarray]:
        """The assignments as blocks of columns, (G, at most `step`)."""
        for start in range(0, len(self.given), step):
            yield self.given[start : start + step].T


def assignments(treated: np.ndarray, blocks: np.ndarray, draws: int, seed: int, order: np.ndarray) -> Assignments:
    """All assignments with as many treated clusters in each block as observed, or a sample of them.

    Parameters
    ----------
    treated : ndarray of bool, shape (G,)
    blocks : ndarray of int, shape (G,)
    draws : int
        All are listed if they number at most this beside the observed one.
    seed : int
    order : ndarray of int, shape (G,)
        The order in which clusters draw.
    """
    treated, blocks = treated[order], blocks[order]
    members = [np.flatnonzero(blocks == block) for block in dict.fromkeys(blocks.tolist())]
    chosen = [int(treated[group].sum()) for group in members]
    counts = [math.comb(len(group), count) for group, count in zip(members, chosen, strict=True)]
    possible = math.prod(counts)
    rng = np.random.default_rng(seed)
    enumerated = possible <= draws + 1
    if enumerated:
        given = _numbered(np.arange(possible), members, chosen, counts, len(treated))
    elif possible <= FEW_TIMES * draws:
        given = _numbered(rng.permutation(possible), members, chosen, counts, len(treated))
        given = given[(given != treated).any(axis=1)][:draws]
    else:
        given = _sampled(rng, treated, blocks, draws)
    # Where treated and untreated change places in every block that has both, the statistic changes its sign alone.
    mirrored = all(count == 0 or 2 * count == len(group) for group, count in zip(members, chosen, strict=True))
    floor = (2 if mirrored else 1) / possible if enumerated else 1 / (draws + 1)
    unsorted = np.empty_like(given)
    unsorted[:, order] = given
    return Assignments(possible, enumerated, floor, unsorted)


def _numbered(numbers: np.ndarray, members: list[np.ndarray], chosen: list[int], counts: list[int], clusters: int) -> np.ndarray:
    """The assignments of these numbers: the digits of a number, one a block, say which of the block's combinations it takes."""
    given = np.zeros((len(numbers), clusters), dtype=bool)
    for group, count, choices in zip(members, chosen, counts, strict=True):
        numbers, digits = np.divmod(numbers, choices)
        listed = np.zeros((choices, len(group)), dtype=bool)
        picks = np.array(list(combinations(range(len(group)), count)), dtype=int).reshape(choices, count)
        np.put_along_axis(listed, picks, True, axis=1)
        given[:, group] = listed[digits]
    return given


def _sampled(rng: np.random.Generator, treated: np.ndarray, blocks: np.ndarray, draws: int) -> np.ndarray:
    """Assignments at random, each at most once and never the observed one."""
    found = treated[None]
    by_block = np.lexsort([~treated, blocks])
    while len(found) <= draws:
        keys = rng.random((min(draws + 1 - len(found), max(1, BLOCK_CELLS // len(treated))), len(treated)))
        ranked = np.argsort(blocks + keys, axis=1)  # within each block in random order
        fresh = np.zeros(keys.shape, dtype=bool)
        np.put_along_axis(fresh, ranked, np.broadcast_to(treated[by_block], keys.shape), axis=1)
        found = np.concatenate([found, fresh])
        _, first = np.unique(np.packbits(found, axis=1), axis=0, return_index=True)
        found = found[np.sort(first)]
    return found[1:]
