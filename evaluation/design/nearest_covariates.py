"""Nearest free units on several columns at once: exact search by a tree, or in the window that a caliper leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from evaluation.design.nearest import Found, Problem

FIRST_LOOK = 16
"""Neighbours asked of the tree at first; more, fourfold, until no unit beyond can be nearer."""

LARGEST_TREE = 12
"""Columns above which a tree saves nothing over looking at every unit."""

ROUNDING = 1e-9
"""Relative slack between the tree's distances and ours, which are summed column by column."""


class CovariateSpace:
    """Finds the nearest free unit by Euclidean distance of the problem's points.

    With ``ties="order"`` (no coin) the unit taken among equally near ones is the one furthest away in the list of all rows
    sorted by the first column, the right-hand one if as far (MatchIt 4.7).
    """

    def __init__(self, problem: Problem):
        self.problem = problem
        self.free = problem.pool.copy()
        self.had: dict[int, set[int]] = {}
        self.members = _by_stratum(problem)
        self.scores = {stratum: problem.score[rows] for stratum, rows in self.members.items()} if problem.width is not None else {}
        self.trees: dict[int, Any] = {}
        self.line = None
        if problem.coin is None:
            self.line = np.empty(len(problem.points), dtype=np.int64)
            self.line[np.argsort(problem.points[:, 0], kind="stable")] = np.arange(len(self.line))

    def nearest(self, row: int, last: int | None = None) -> Found:
        """The nearest free partner that the row does not have yet, and its distance; None if there is none."""
        best: tuple[float, np.ndarray] | None = None
        for candidates, beyond in self._looks(row):
            candidates = self._allowed(row, candidates)
            if len(candidates):
                squares = self._squares(row, candidates)
                least = squares.min()
                best = float(least), candidates[squares == least]
                if least <= beyond * (1.0 - ROUNDING):
                    break
        if best is None:
            return None
        return self._among_equals(row, best[1]), float(np.sqrt(best[0]))

    def remove(self, unit: int) -> None:
        """A partner that serves nobody any more."""
        self.free[unit] = False

    def remember(self, row: int, unit: int) -> None:
        """The row has taken the unit."""
        self.had.setdefault(row, set()).add(unit)

    def _looks(self, row: int) -> Iterator[tuple[np.ndarray, float]]:
        """Candidates, with a squared distance that no unit left out undercuts."""
        problem, stratum = self.problem, int(self.problem.group[row])
        members = self.members.get(stratum)
        if members is None:
            return
        if problem.width is not None:
            scores, own = self.scores[stratum], problem.score[row]
            reach = problem.width * (1.0 + ROUNDING)
            start, stop = np.searchsorted(scores, own - reach), np.searchsorted(scores, own + reach, "right")
            yield members[start:stop], np.inf
            return
        if problem.points.shape[1] <= LARGEST_TREE:
            from scipy.spatial import cKDTree  # slow to import: only who asks for it waits

            if stratum not in self.trees:
                self.trees[stratum] = cKDTree(problem.points[members])
            look = FIRST_LOOK
            while look < len(members):
                gaps, places = self.trees[stratum].query(problem.points[row], k=look)
                yield members[places], float(gaps[-1]) ** 2
                look *= 4
        yield members, np.inf

    def _allowed(self, row: int, candidates: np.ndarray) -> np.ndarray:
        problem = self.problem
        allowed = self.free[candidates]
        if problem.width is not None:
            allowed &= np.abs(problem.score[candidates] - problem.score[row]) <= problem.width
        if problem.limits:
            allowed &= problem.within_limits(row, candidates)
        had = self.had.get(row)
        if had:
            allowed &= ~np.isin(candidates, list(had))
        return candidates[allowed]

    def _squares(self, row: int, candidates: np.ndarray) -> np.ndarray:
        total = np.zeros(len(candidates))
        for column in self.problem.points.T:  # column by column: units with equal columns are equally far to the last bit
            total += (column[candidates] - column[row]) ** 2
        return total

    def _among_equals(self, row: int, equals: np.ndarray) -> int:
        if self.line is None:
            return int(equals[np.argmin(self.problem.rank[equals])])
        steps = self.line[equals] - self.line[row]
        return int(equals[np.lexsort((steps, np.abs(steps)))[-1]])


def _by_stratum(problem: Problem) -> dict[int, np.ndarray]:
    """Rows of the pool by stratum, by score where a caliper stands on it."""
    rows = np.flatnonzero(problem.pool)
    keys = (problem.group[rows],) if problem.width is None else (problem.score[rows], problem.group[rows])
    rows = rows[np.lexsort(keys)]
    strata, starts = np.unique(problem.group[rows], return_index=True)
    return dict(zip(strata.tolist(), np.split(rows, starts[1:]), strict=True))
