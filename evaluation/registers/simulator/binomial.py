"""Binomial draws for many pupils at once, from tables: each draw takes two uniform numbers whatever the number of trials."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

STEPS = 192        # chances of the tables: the squares of 0 to STEPS over STEPS, halved
WORD, ALIAS_BITS = 32, 7  # bits of an entry of a table, and of them those of the alias
MOST_ALIAS = np.uint32((1 << ALIAS_BITS) - 1)
SIZES = (48, 96)    # most trials of a table; a half-term has fewer than 48 school days


def binomials(number: np.ndarray, chance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Binomial draws for several numbers of trials of each pupil.

    Parameters
    ----------
    number : ndarray of int32
        Trials, kinds x pupils, 0 to 96.
    chance : ndarray of float
        Probability of each trial, one a pupil, 0 to 1.

    Returns
    -------
    ndarray of int32
        Successes, kinds x pupils.

    Notes
    -----
    A pupil's draws are made at one of the two chances of the tables next to the pupil's own, taken at random so that the mean is exact;
    the variance is larger by a share of at most the pupil's trials over ``STEPS**2``, about a thousandth. Chances above a half are
    drawn as failures. Within a table the draw is by the alias method [Walker 1977; Vose 1991].
    """
    most = number.max(initial=0)
    table, starts = _tables(next(size for size in SIZES if most <= size))
    chance = np.asarray(chance, dtype=np.float32)
    squared = np.minimum(chance, 1 - chance) * np.float32(2 * STEPS * STEPS)
    root = np.minimum(np.floor(np.sqrt(squared)), np.float32(STEPS - 1))
    root += rng.random(len(root), dtype=np.float32) * (root + root + np.float32(1)) < squared - root * root
    low = root.astype(np.int32)
    found = np.empty(number.shape, dtype=np.int32)
    for trials, drawn in zip(number, found, strict=True):
        cells = trials + 1
        place = rng.integers(0, 1 << WORD, len(low), dtype=np.uint32) * cells.astype(np.uint64)  # cell, and how far through it
        cell = (place >> WORD).astype(np.int32)
        entry = table.take(starts.take(trials) + low * cells + cell)
        within = (place.astype(np.uint32) >> ALIAS_BITS) < (entry >> ALIAS_BITS)
        drawn[:] = np.where(within, cell, (entry & MOST_ALIAS).view(np.int32))
    often = np.flatnonzero(chance > 0.5)
    found[:, often] = number[:, often] - found[:, often]
    return found


@lru_cache(maxsize=len(SIZES))
def _tables(most: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells of every table, number after number and chance after chance, and where a number begins.

    An entry holds the cut of its cell, in steps of ``2**-25``, and its alias in the last seven bits.
    """
    chance = ((np.arange(STEPS + 1) / STEPS) ** 2 / 2)[:, None]
    entries = []
    mass = np.ones((STEPS + 1, 1))
    for _ in range(most + 1):
        cut, alias = alias_tables(mass)
        whole = np.minimum(np.rint(cut.ravel() * (1 << WORD - ALIAS_BITS)), (1 << WORD - ALIAS_BITS) - 1).astype(np.uint32)
        entries.append(whole << ALIAS_BITS | alias.ravel().astype(np.uint32))
        mass = np.pad(mass, ((0, 0), (0, 1))) * (1 - chance) + np.pad(mass, ((0, 0), (1, 0))) * chance  # one trial more
    starts = np.cumsum([0, *(len(part) for part in entries[:-1])]).astype(np.int32)
    return np.concatenate(entries), starts


def alias_tables(mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Alias tables of some distributions (rows; columns are outcomes).

    Returns
    -------
    cut : ndarray
        A cell stands for its own outcome below this share of it.
    alias : ndarray of int
        The outcome of the rest of the cell.
    """
    rows, cells = np.arange(len(mass)), mass.shape[1]
    left = mass * cells  # what is to be shared out, one a cell on average
    cut, alias = np.ones_like(left), np.broadcast_to(np.arange(cells), left.shape).copy()
    small = left.copy()  # cells that are done stand at infinity
    for _ in range(cells - 1):
        least, most = small.argmin(axis=1), np.where(np.isinf(small), -1.0, small).argmax(axis=1)
        share = np.minimum(small[rows, least], 1.0)
        cut[rows, least], alias[rows, least] = share, most
        small[rows, most] -= 1.0 - share
        small[rows, least] = np.inf
    return cut, alias
