"""The intruder: between which two numbers a suppressed count must lie, given all that is shown.

Bounds come from linear programmes (HiGHS). Over one table in two dimensions, the bounds of the linear programme are
whole numbers; where tables are linked, or have three dimensions or hierarchies in both, they need not be, and whole
numbers are asked for (a bound is then a witness: a table of whole counts that fits everything shown).

Source: the attacker problem of cell suppression, Fischetti and Salazar-Gonzalez, Management Science 47 (2001).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluation.reporting.disclosure.system import CellSystem

LARGEST_COUNT = 1e7
"""What an intruder takes as the most that any count could be (ten times the count, where it is greater yet: marks are counted in tens of millions)."""

LOOKS = 24
"""Tables tried that push many cells at once, before each cell is asked for by itself."""


@dataclass(frozen=True)
class Bounds:
    """What can be said of the suppressed cells: ``low[i] <= count <= high[i]`` for cell ``cells[i]``."""

    cells: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Shown:
    """What the intruder sees of each cell: lowest and highest possible count. Shown exactly, both are the count; shown
    rounded, they lie half the base apart from it; suppressed, 0 and no limit."""

    low: np.ndarray
    high: np.ndarray


def shown_as(system: CellSystem, suppressed: np.ndarray, rounding_base: int = 1) -> Shown:
    """What the release shows of each cell.

    Parameters
    ----------
    suppressed : array of bool
        By cell. A cell that nobody prints counts as suppressed.
    rounding_base : int
        A shown 0 is a true 0 and is never rounded to.
    """
    values = system.numbers()
    hidden = (suppressed | ~np.asarray(system.printed)) & ~np.asarray(system.structural)
    low, high = values.copy(), values.copy()
    if rounding_base > 1:
        near = round_counts(values, rounding_base)
        half = rounding_base // 2
        low = np.where(values == 0, 0, np.maximum(near - half, 1))
        high = np.where(values == 0, 0, near + half)
    low[hidden], high[hidden] = 0.0, np.maximum(LARGEST_COUNT, 10 * values[hidden])
    return Shown(low, high)


def round_counts(values: np.ndarray, base: int) -> np.ndarray:
    """Counts to the nearest multiple of a base, halves away from zero; a count above 0 is never rounded to 0."""
    values = np.asarray(values, dtype=float)
    near = np.sign(values) * np.floor(np.abs(values) / base + 0.5) * base
    return np.where((near == 0) & (values != 0), np.sign(values) * base, near)


def cell_bounds(system: CellSystem, shown: Shown, cells: np.ndarray | None = None, *, whole: bool = False,
                enough: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None) -> Bounds:
    """Bounds of cells from everything shown.

    Parameters
    ----------
    cells : array of int, optional
        Which; all that are not shown exactly when left out.
    whole : bool
        Ask for tables of whole numbers.
    enough : callable, optional
        Given low and high of all cells as far as found, which cells need no further search: every solution is a table
        that fits, so it widens the known range of all cells at once. The bounds returned are then within the true ones.

    Returns
    -------
    Bounds
    """
    values = system.numbers()
    if cells is None:
        cells = np.flatnonzero(shown.high > shown.low)
    low, high = values.copy(), values.copy()
    solver = Intruder(system, shown, whole)
    if enough is not None:
        low, high = solver.explore(cells, low, high, enough)
    for cell in cells:
        for sign in (1, -1):
            if enough is not None and enough(low, high)[cell]:
                break
            table = solver.extreme(int(cell), sign)
            low, high = np.minimum(low, table), np.maximum(high, table)
    return Bounds(np.asarray(cells), low[cells], high[cells])


class Intruder:
    """One system, asked for the extremes of many cells; cells shown exactly are moved to the right-hand side, and parts of
    the system that share no unknown are solved apart."""

    def __init__(self, system: CellSystem, shown: Shown, whole: bool):
        from scipy.sparse.csgraph import connected_components

        self.whole = whole
        self.values = system.numbers()
        matrix = system.matrix().tocsc()
        self.open = np.flatnonzero(shown.high > shown.low)
        self.low, self.high = shown.low[self.open], shown.high[self.open]
        inner = matrix[:, self.open].tocsr()
        fixed = self.values.copy()
        fixed[self.open] = 0.0
        self.right = -(matrix @ fixed)
        self.inner = inner
        joint = abs(inner).T @ abs(inner)  # of signed entries, two equations could cancel and part what belongs together
        self.part = connected_components(joint != 0, directed=False)[1] if len(self.open) else np.array([], dtype=int)
        self.at = {int(cell): i for i, cell in enumerate(self.open)}

    def extreme(self, cell: int, sign: int) -> np.ndarray:
        """A table that fits, in which the cell is as large (sign 1) or as small (-1) as can be."""
        if cell not in self.at:
            return self.values.copy()
        wanted = np.zeros(len(self.open))
        wanted[self.at[cell]] = sign
        return self.table(wanted, np.flatnonzero(self.part == self.part[self.at[cell]]))

    def table(self, wanted: np.ndarray, mine: np.ndarray) -> np.ndarray:
        """The table that fits and makes ``wanted @ counts`` largest over the unknown counts ``mine``, which share no
        equation with others."""
        found = self.values.copy()
        block = self.inner[:, mine].tocsr()
        rows = np.flatnonzero(np.diff(block.indptr))
        found[self.open[mine]] = solve(-wanted[mine], block[rows], self.right[rows], self.low[mine], self.high[mine], self.whole)
        return found

    def explore(self, cells: np.ndarray, low: np.ndarray, high: np.ndarray, enough: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Widen the known ranges of many cells at once by tables that push all of them at random; ends when that helps no more."""
        random = np.random.default_rng(0)
        mine = np.arange(len(self.open))
        wanting = [c for c in cells if c in self.at]
        before = len(wanting) + 1
        for look in range(LOOKS):
            sign = -1 if look % 2 else 1
            satisfied = enough(low, high)
            wanting = [c for c in wanting if not satisfied[c]]
            if not wanting or sign > 0 and len(wanting) == before:
                break
            before = len(wanting) if sign > 0 else before
            push = np.zeros(len(self.open))
            push[[self.at[int(c)] for c in wanting]] = sign * random.integers(1, 100, len(wanting))
            table = self.table(push, mine)
            low, high = np.minimum(low, table), np.maximum(high, table)
        return low, high


def solve(cost: np.ndarray, matrix, right: np.ndarray, low: np.ndarray, high: np.ndarray, whole: bool) -> np.ndarray:
    """Minimise ``cost @ x`` with ``matrix @ x = right`` and ``low <= x <= high`` by HiGHS; in whole numbers if asked for, at
    the cost of a search only where the linear programme does not end in whole numbers by itself. Its presolve costs more here
    than it saves.

    Raises
    ------
    RuntimeError
        The solver found no table that fits, which cannot happen while the true one does.
    """
    from scipy.optimize import Bounds as Box
    from scipy.optimize import LinearConstraint, linprog, milp

    if len(cost) == 0:
        if np.abs(right).max(initial=0.0) > 1e-6:
            raise RuntimeError("nothing can change, and what is shown does not fit")
        return np.zeros(0)
    rows = {"A_eq": matrix, "b_eq": right} if matrix.shape[0] else {}
    box = np.column_stack([low, high])
    result = linprog(cost, **rows, bounds=box, method="highs", options={"presolve": False})
    if result.x is None:  # with redundant equations, what fits may be called infeasible without presolve
        result = linprog(cost, **rows, bounds=box, method="highs")
    if whole and result.x is not None and np.abs(result.x - np.round(result.x)).max(initial=0.0) > 1e-6:
        constraints = [LinearConstraint(matrix, right, right)] if matrix.shape[0] else []
        result = milp(cost, integrality=np.ones(len(cost)), bounds=Box(low, high), constraints=constraints)
    if result.x is None:
        raise RuntimeError(f"the solver found no table that fits what is shown: {result.message}")
    return np.round(result.x, 6)
