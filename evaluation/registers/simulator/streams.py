"""Random numbers by purpose: one stream for each part of the simulation, so that changing one part leaves the others."""

from __future__ import annotations

import zlib

import numpy as np

MOST_IN_A_WORD = 2**32 - 1


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """A generator that depends on the seed, the purpose and further whole numbers alone.

    Parameters
    ----------
    seed : int
        Seed of the run.
    purpose : str
        What the numbers are for, such as ``"sessions"``.
    *numbers : int
        Which part of it, such as the half-term.
    """
    words = [seed, zlib.crc32(purpose.encode()), *numbers]
    entropy = np.array(words, dtype=np.uint32) if 0 <= seed <= MOST_IN_A_WORD else words  # the same numbers, read faster
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))


def top_choices(weights: np.ndarray, keys: np.ndarray, group: np.ndarray, size: int) -> np.ndarray:
    """Up to ``size`` draws without replacement from each group with odds ``exp(weights)`` (Gumbel keys; Efraimidis & Spirakis 2006).

    Parameters
    ----------
    weights, group : ndarray
        Of each candidate.
    keys : ndarray
        Gumbel draws, one a candidate, group after group.

    Returns
    -------
    ndarray of int
        Positions, group after group in order of the draws.
    """
    order = np.argsort(group, kind="stable")
    total = np.empty(len(group))
    total[order] = weights[order] + keys
    ranked = np.lexsort((-total, group))
    held = group[ranked]
    place = np.arange(len(ranked)) - np.searchsorted(held, held)
    return ranked[place < size]
