"""Which further cells must be suppressed so that no primary one can be worked out, and the proof that none can.

A primary count is safe when an intruder who uses everything shown cannot tell it from any number between 0 and the
threshold (a count at or above the threshold, suppressed for another reason: from any in a range as wide). For each primary
cell two linear programmes look for the cheapest change of other cells that would let it be as large, and as small; the
cells that change are suppressed. That the result is safe does not rest on this search: :func:`prove` plays the intruder.

Source: the linear programming heuristic of cell suppression, Kelly, Golden and Assad, Networks 22 (1992); Fischetti and
Salazar-Gonzalez, Management Science 47 (2001).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from evaluation.reporting.disclosure.bounds import LARGEST_COUNT, Bounds, Intruder, cell_bounds, shown_as, solve
from evaluation.reporting.disclosure.system import CellSystem

ROUNDS = 8
"""Times that the search is repeated with wider ranges where whole numbers bind more tightly than the programme saw."""


@dataclass(frozen=True)
class Suppression:
    """What is suppressed, by cell, and the intruder's bounds on every cell that needs protection.

    ``unsafe`` lists cells that no suppression protects (a count that is known from elsewhere).
    """

    primary: np.ndarray
    secondary: np.ndarray
    bounds: Bounds
    unsafe: tuple[int, ...]

    @property
    def suppressed(self) -> np.ndarray:
        """Primary or secondary."""
        return self.primary | self.secondary


def required_ranges(values: np.ndarray, threshold: int) -> tuple[np.ndarray, np.ndarray]:
    """The range that an intruder must at least be left with: 0 to the threshold, or as wide a range around a larger count."""
    values = np.asarray(values, dtype=float)
    low = np.where(values < threshold, 0.0, values - np.ceil(threshold / 2))
    return low, low + threshold


def suppress_cells(system: CellSystem, primary: np.ndarray, *, threshold: int, rounding_base: int = 1, kept: Iterable[int] = ()) -> Suppression:
    """Find the further cells to suppress, and prove the result.

    Parameters
    ----------
    system : CellSystem
    primary : array of bool
        Cells that must not be known: small counts, printed or not.
    threshold : int
        Smallest count that may be shown.
    rounding_base : int
        To which shown counts are rounded.
    kept : iterable of int
        Cells to hide beside them, as another release does; one that can be worked out all the same is shown.

    Returns
    -------
    Suppression
    """
    primary = np.asarray(primary, dtype=bool)
    need_low, need_high = required_ranges(system.numbers(), threshold)
    hidden, kept = primary.copy(), set(kept)
    hidden[list(kept)] = True
    unsafe: set[int] = set()
    stiff: set[int] = set()
    for _ in range(ROUNDS):
        unsafe |= _search(system, primary, hidden, need_low, need_high, rounding_base, unsafe, stiff)
        bounds, weak = prove(system, primary, hidden, threshold=threshold, rounding_base=rounding_base)
        weak = [cell for cell in weak if cell not in unsafe]
        hidden[[cell for cell in weak if cell in kept and not primary[cell]]] = False
        if not weak:
            break
        stiff = {cell for cell in weak if primary[cell]}
        for cell in weak:  # whole numbers bind more tightly: ask for more room there, and for it in whole numbers
            need_high[cell] += threshold
            need_low[cell] = max(0.0, need_low[cell] - threshold)
    else:
        unsafe |= set(weak)
    printed = np.asarray(system.printed)
    return Suppression(primary & printed, hidden & ~primary & printed, bounds, tuple(sorted(unsafe)))


def prove(system: CellSystem, primary: np.ndarray, hidden: np.ndarray, *, threshold: int, rounding_base: int = 1, whole: bool = True) -> tuple[Bounds, list[int]]:
    """Play the intruder against a suppression.

    Returns
    -------
    Bounds
        On every primary and suppressed cell, as far as was needed to show it safe.
    list of int
        Cells that are not safe: primary ones within a narrower range than required, secondary ones known exactly.
    """
    shown = shown_as(system, hidden, rounding_base)
    values = system.numbers()
    need_low, need_high = required_ranges(values, threshold)
    spare = hidden & ~primary

    def enough(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return np.where(primary, (low <= need_low) & (high >= need_high), high - low >= 1)

    cells = np.flatnonzero(primary | spare)
    bounds = cell_bounds(system, shown, cells, whole=whole, enough=enough)
    low, high = values.copy(), values.copy()
    low[cells], high[cells] = bounds.low, bounds.high
    return bounds, [int(c) for c in cells if not enough(low, high)[c]]


def _search(system: CellSystem, primary: np.ndarray, hidden: np.ndarray, need_low: np.ndarray, need_high: np.ndarray, rounding_base: int, given_up: set[int],
            stiff: Collection[int] = ()) -> set[int]:
    """Add cells to ``hidden`` until each primary cell can take both ends of its range; returns those that cannot. Of the ``stiff``
    ones tables of whole numbers are asked for, whatever broken ones show."""
    values = system.numbers()
    low, high = values.copy(), values.copy()
    search = _Search(system)
    lost = set()
    reachable = lambda low, high: (low <= need_low) & (high >= need_high)  # noqa: E731
    low, high = Intruder(system, shown_as(system, hidden, rounding_base), whole=False).explore(np.flatnonzero(primary), low, high, reachable)
    order = sorted(np.flatnonzero(primary), key=lambda c: (-(need_high[c] - values[c]), c))
    for cell in order:
        for goal, reached in ((need_high[cell], high), (need_low[cell], low)):
            if cell in given_up or cell not in stiff and (reached[cell] >= goal if reached is high else reached[cell] <= goal):
                continue
            table = search.cheapest(int(cell), goal - values[cell], hidden, rounding_base, whole=cell in stiff)
            if table is None:
                lost.add(int(cell))
                continue
            np.minimum(low, table, out=low)
            np.maximum(high, table, out=high)
    return lost


class _Search:
    """The cheapest change of other cells that moves one cell by a given amount."""

    def __init__(self, system: CellSystem):
        from scipy.sparse.csgraph import connected_components

        self.system = system
        matrix = system.matrix()
        self.matrix = matrix.tocsc()
        self.part = connected_components(abs(matrix).T @ abs(matrix), directed=False)[1]
        self.values = system.numbers()
        totals = np.zeros(system.size, dtype=int)
        for total, _ in system.equations:
            totals[total] += 1
        self.cost = (1.0 + np.log2(1.0 + self.values)) * np.where(self.values == 0, 3.0, 1.0) * 4.0 ** np.minimum(totals, 3)

    def cheapest(self, cell: int, amount: float, hidden: np.ndarray, rounding_base: int, whole: bool = False) -> np.ndarray | None:
        """The changed table, its newly changed cells added to ``hidden``; None where there is none."""
        from scipy.sparse import hstack

        shown = shown_as(self.system, hidden, rounding_base)
        n = len(self.values)
        movable = np.asarray(self.system.printed) & ~hidden & ~np.asarray(self.system.structural)
        movable[cell] = False
        near = self.part == self.part[cell]  # cells that share no equation with it, however far, cannot help
        can = np.flatnonzero(movable & near)
        free = np.flatnonzero((shown.high > shown.low) & (np.arange(n) != cell) & near)
        down = np.minimum(shown.low[can], self.values[can])
        low = np.concatenate([shown.low[free] - self.values[free], np.zeros(len(can)), np.zeros(len(can))])
        high = np.concatenate([shown.high[free] - self.values[free], np.full(len(can), LARGEST_COUNT), down])
        cost = np.concatenate([np.zeros(len(free)), self.cost[can], self.cost[can]])
        block = self.matrix[:, can]
        wide = hstack([self.matrix[:, free], block, -block]).tocsr()
        right = -amount * self.matrix[:, [cell]].toarray().ravel()
        rows = np.flatnonzero((np.diff(wide.indptr) > 0) | (right != 0))
        wide, right = wide[rows], right[rows]
        try:
            change = solve(cost, wide, right, low, high, whole=whole)
        except RuntimeError:
            return None
        moved = np.zeros(n)
        moved[cell] = amount
        moved[free] += change[: len(free)]
        up, fell = change[len(free) : len(free) + len(can)], change[len(free) + len(can) :]
        moved[can] += up - fell
        hidden[can[(up > 1e-6) | (fell > 1e-6)]] = True
        return self.values + moved
