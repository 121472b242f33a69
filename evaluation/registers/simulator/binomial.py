"""Binomial draws for many pupils at once, from tables: each draw takes two uniform numbers whatever the number of trials."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

STEPS = 192        # chances of the tables: the squares of 0 to STEPS over STEPS, halved
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
    cut, alias, starts = _tables(next(size for size in SIZES if most <= size))
    often = chance > 0.5
    squared = np.where(often, 1 - chance, chance) * (2 * STEPS * STEPS)
    low = np.minimum(np.sqrt(squared).astype(np.int32), STEPS - 1)
    low += rng.random(len(low), dtype=np.float32) * (2 * low + 1) < squared - low * low
    found = np.empty(number.shape, dtype=np.int32)
    for trials, drawn in zip(number, found, strict=True):
        cells = trials + 1
        place = rng.random(len(low)) * cells
        cell = place.astype(np.int32)
        at = starts[trials] + low * cells + cell
        np.copyto(drawn, np.where(place - cell < cut[at], cell, alias[at]))
    return np.where(often, number - found, found)


@lru_cache(maxsize=len(SIZES))
def _tables(most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut and alias of every cell of every table, number after number and chance after chance, and where a number begins."""
    chance = ((np.arange(STEPS + 1) / STEPS) ** 2 / 2)[:, None]
    cuts, aliases = [], []
    mass = np.ones((STEPS + 1, 1))
    for _ in range(most + 1):
        cut, alias = alias_tables(mass)
        cuts.append(cut.ravel())
        aliases.append(alias.ravel())
        mass = np.pad(mass, ((0, 0), (0, 1))) * (1 - chance) + np.pad(mass, ((0, 0), (1, 0))) * chance  # one trial more
    starts = np.cumsum([0, *(len(cut) for cut in cuts[:-1])]).astype(np.int32)
    return np.concatenate(cuts).astype(np.float32), np.concatenate(aliases).astype(np.uint8), starts


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
