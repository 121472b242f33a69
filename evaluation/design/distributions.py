"""How far apart two weighted distributions of one column are: the Kolmogorov-Smirnov distance without sorting the column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CELLS = 4096
"""Cells of a column's range; more make fewer rows to sort and longer tables."""

SAMPLED = 10_000
"""Rows, evenly spaced, from which the range that is cut into cells is read; it decides only how quick the search is."""


def largest_gaps(x: np.ndarray, arms: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Largest distance between the distribution functions of two arms, for several sets of weights on the same column.

    The column is cut into cells that rise with it. At the end of each cell the distance is known from sums alone. Inside a cell it cannot
    rise by more than the first arm's share there, nor fall by more than the second's; only the few cells in which it could pass
    the largest distance known so far are sorted. The result is exact.

    Parameters
    ----------
    x : ndarray of float, shape (n,)
        Finite.
    arms : sequence of (ndarray, ndarray), each of shape (n,)
        Every row's share of either arm, 0 for rows outside it; each adds up to 1.

    Returns
    -------
    list of float
        One distance for each pair of shares.
    """
    cell = _cells(x)
    gaps = []
    for first, second in arms:
        rise, fall = (np.bincount(cell, share, minlength=CELLS) for share in (first, second))
        after = np.cumsum(rise - fall)
        before = np.concatenate([[0.0], after[:-1]])
        known = float(np.abs(after).max())
        could = np.maximum(np.abs(before + rise), np.abs(before - fall)) > known
        rows = np.flatnonzero(could[cell])
        rows = rows[_cells_of_several_values(x[rows], cell[rows])[cell[rows]]]
        gaps.append(max(known, _largest_inside(x[rows], cell[rows], first[rows] - second[rows], before)))
    return gaps


def _cells(x: np.ndarray) -> np.ndarray:
    """A cell's number for each value, never falling with it: equal widths over the middle of the column, the tails in the end cells."""
    sampled = x[:: max(1, len(x) // SAMPLED)]
    low, high = np.quantile(sampled, (0.005, 0.995))
    if not high > low:
        low, high = x.min(), x.max()
    width = (high - low) / (CELLS - 2)
    if not width > 0 or not np.isfinite(width):
        return np.zeros(len(x), dtype=np.int64)
    return np.clip((x - low) / width, -1.0, CELLS - 2.0).astype(np.int64) + 1


def _cells_of_several_values(x: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Whether a cell holds values that differ; where all are equal, the distance at its end is the only one inside."""
    one = np.zeros(CELLS)
    one[cell] = x
    several = np.zeros(CELLS, dtype=bool)
    several[cell[x != one[cell]]] = True
    return several


def _largest_inside(x: np.ndarray, cell: np.ndarray, signed: np.ndarray, before: np.ndarray) -> float:
    """Largest distance at any value of the given rows, from the distance ahead of each cell."""
    if not len(x):
        return 0.0
    order = np.argsort(x)
    x, cell = x[order], cell[order]
    running = np.cumsum(signed[order])
    first = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    ahead = before[cell[first]] - np.concatenate([[0.0], running[first[1:] - 1]])
    gap = running + np.repeat(ahead, np.diff(np.append(first, len(x))))
    last = np.concatenate([x[1:] != x[:-1], [True]])
    return float(np.abs(gap[last]).max())
