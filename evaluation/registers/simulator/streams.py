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


def top_choice(weights: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of ``size`` draws without replacement with odds ``exp(weights)`` (Gumbel keys; Efraimidis & Spirakis 2006)."""
    keys = weights + rng.gumbel(size=len(weights))
    return np.argsort(-keys, kind="stable")[:size]
