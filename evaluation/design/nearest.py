"""Nearest neighbours, chosen one after another: the queue in which units choose, and the search on one score.

Comparison units are sorted by stratum and score. The nearest one to a unit then stands to its left or to its right, and the
nearest *free* one is found by union-find in which every taken unit points to its neighbour. A search costs next to nothing
however many units are taken, so a million rows need no tree and no approximation.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]
Found = tuple[int, float] | None


@dataclass(frozen=True)
class Problem:
    """Who seeks a partner among whom, and what a pair must keep to.

    Attributes
    ----------
    seekers, pool : ndarray of bool, shape (n,)
        Units that are to be matched (the treated, for an effect on the treated) and units that may stand beside them.
    group : ndarray of int, shape (n,)
        Exact stratum, 0 upwards.
    rank : ndarray of int, shape (n,)
        A permutation: each row's place among rows that are equally near.
    coin : ndarray of bool, shape (n,), or None
        Whether a seeker takes the right-hand unit when both sides are equally near; None: the rule of reference software.
    score : ndarray of float, shape (n,), or None
        The distance measure, where it is one number.
    points : ndarray of float, shape (n, d), or None
        Columns whose Euclidean distance is the distance measure; comes before ``score``, on which a caliper may still stand.
    width : float or None
        Largest difference of ``score`` in a pair.
    limits : tuple of (ndarray, float)
        Columns and the largest difference of each in a pair.
    """

    seekers: np.ndarray
    pool: np.ndarray
    group: np.ndarray
    rank: np.ndarray
    coin: np.ndarray | None
    score: np.ndarray | None = None
    points: np.ndarray | None = None
    width: float | None = None
    limits: tuple[tuple[np.ndarray, float], ...] = ()

    def within_limits(self, row: int, others: np.ndarray) -> np.ndarray:
        """Which of the other rows keep every limit with a row."""
        allowed = np.ones(len(others), dtype=bool)
        for values, most in self.limits:
            allowed &= np.abs(values[others] - values[row]) <= most
        return allowed


class Finder(Protocol):
    """Answers who is nearest; ``last`` is the unit found before, which has been taken since."""

    def nearest(self, row: int, last: int | None = None) -> Found: ...

    def remove(self, unit: int) -> None: ...

    def remember(self, row: int, unit: int) -> None: ...


def choose_in_turn(finder: Finder, queue: np.ndarray, *, ratio: int, capacity: int | None, served: dict[int, int]) -> Triples:
    """Every unit of the queue takes its nearest free partner; then, with a ratio, its second, and so on.

    Parameters
    ----------
    finder : Finder
    queue : ndarray of int
        Rows of seekers in the order in which they choose.
    ratio : int
        Rounds; a unit that finds nobody in one round takes no part in later ones.
    capacity : int or None
        How many seekers a partner may serve; None: any number.
    served : dict of int to int
        How many it serves already; counted on here.

    Returns
    -------
    takers, taken, gaps : ndarray
        Seeker's row, partner's row, distance: one entry a pair.
    """
    pairs: list[tuple[int, int, float]] = []
    waiting = queue.tolist()
    for _ in range(ratio):
        still = []
        for row in waiting:
            found = finder.nearest(row)
            if found is None:
                continue
            _take(finder, row, found, pairs, served, capacity)
            still.append(row)
        waiting = still
    return _triples(pairs)


def choose_closest_first(finder: Finder, queue: np.ndarray, *, ratio: int, capacity: int | None, served: dict[int, int]) -> Triples:
    """The closest pair of all is made first, then the closest of what is left; parameters as :func:`choose_in_turn`.

    Equally close pairs: a unit whose partner was taken and who finds another equally near comes before those that wait.
    """
    pairs: list[tuple[int, int, float]] = []
    waiting = queue.tolist()
    for _ in range(ratio):
        still, again = [], 0
        heap = [(found[1], place, row, found[0]) for place, row in enumerate(waiting) if (found := finder.nearest(row)) is not None]
        heapq.heapify(heap)
        while heap:
            gap, _, row, unit = heapq.heappop(heap)
            if capacity is not None and served.get(unit, 0) >= capacity:
                found = finder.nearest(row, last=unit)
                if found is not None:
                    again -= 1
                    heapq.heappush(heap, (found[1], again, row, found[0]))
                continue
            _take(finder, row, (unit, gap), pairs, served, capacity)
            still.append(row)
        waiting = sorted(still, key={row: place for place, row in enumerate(waiting)}.__getitem__)
    return _triples(pairs)


def _take(finder: Finder, row: int, found: tuple[int, float], pairs: list, served: dict[int, int], capacity: int | None) -> None:
    unit, gap = found
    pairs.append((row, unit, gap))
    finder.remember(row, unit)
    if capacity is not None:
        served[unit] = served.get(unit, 0) + 1
        if served[unit] >= capacity:
            finder.remove(unit)


def _triples(pairs: list[tuple[int, int, float]]) -> Triples:
    if not pairs:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
    takers, taken, gaps = zip(*pairs, strict=True)
    return np.array(takers, dtype=np.int64), np.array(taken, dtype=np.int64), np.array(gaps, dtype=float)


class ScoreLine:
    """Finds the nearest free unit on one score by union-find on the sorted pool.

    With ``ties="order"`` (no coin) units with equal scores stand in the order of rows, and of two equally near units on
    either side the one fewer rows away in the sorted list of all rows is taken, the left one if as many (MatchIt 4.7).
    """

    def __init__(self, problem: Problem):
        self.problem = problem
        arranged = _sorted_rows(problem)
        inside = problem.pool[arranged]
        self.units = arranged[inside]
        self.values = problem.score[self.units].tolist() if len(self.units) < 100_000 else problem.score[self.units]
        before = np.cumsum(inside)
        rows = arranged[problem.seekers[arranged]]
        place = before[problem.seekers[arranged]]
        ends = np.cumsum(np.bincount(problem.group[self.units], minlength=int(problem.group.max()) + 1))
        starts = np.concatenate([[0], ends[:-1]])
        own = problem.group[rows]
        self.place = dict(zip(rows.tolist(), place.tolist(), strict=True))
        self.bounds = dict(zip(rows.tolist(), zip(starts[own].tolist(), ends[own].tolist(), strict=True), strict=True))
        self.left: dict[int, int] = {}
        self.right: dict[int, int] = {}
        self.reached: dict[int, tuple[int, int]] = {}
        self.where: dict[int, int] = {}
        self.most = np.inf if problem.width is None else problem.width
        self.line = _line_positions(problem) if problem.coin is None else None

    def nearest(self, row: int, last: int | None = None) -> Found:
        """The nearest free partner beyond those the row already has, and its distance; None if there is none."""
        start, stop = self.bounds[row]
        here = self.place[row]
        low, high = self.reached.get(row, (here, here - 1))
        if last is not None:
            spot = self.where[last]
            low, high = min(low, spot), max(high, spot)
        own = float(self.problem.score[row])
        below, gap_below = self._left(row, low - 1, start, own)
        above, gap_above = self._right(row, high + 1, stop, own, gap_below)
        gap = min(gap_below, gap_above)
        if gap == np.inf:
            return None
        rightward = gap_above < gap_below or (gap_above == gap_below and self._tie_goes_right(row, below, above, last))
        spot = above if rightward else below
        unit = int(self.units[spot])
        self.where[unit] = spot
        return unit, gap

    def remove(self, unit: int) -> None:
        """A partner that serves nobody any more."""
        spot = self.where[unit]
        self.left[spot], self.right[spot] = spot - 1, spot + 1

    def remember(self, row: int, unit: int) -> None:
        """The row has taken the unit: its next search starts beyond it."""
        spot, here = self.where[unit], self.place[row]
        low, high = self.reached.get(row, (here, here - 1))
        self.reached[row] = min(low, spot), max(high, spot)

    def _left(self, row: int, spot: int, start: int, own: float) -> tuple[int, float]:
        while True:
            spot = _find(self.left, spot)
            if spot < start:
                return spot, np.inf
            gap = own - float(self.values[spot])
            if gap > self.most:
                return spot, np.inf
            if self._allowed(row, spot):
                return spot, gap
            spot -= 1

    def _right(self, row: int, spot: int, stop: int, own: float, enough: float) -> tuple[int, float]:
        while True:
            spot = _find(self.right, spot)
            if spot >= stop:
                return spot, np.inf
            gap = float(self.values[spot]) - own
            if gap > self.most or gap > enough:
                return spot, np.inf
            if self._allowed(row, spot):
                return spot, gap
            spot += 1

    def _allowed(self, row: int, spot: int) -> bool:
        if not self.problem.limits:
            return True
        unit = self.units[spot]
        return all(abs(values[unit] - values[row]) <= most for values, most in self.problem.limits)

    def _tie_goes_right(self, row: int, below: int, above: int, last: int | None) -> bool:
        if self.line is None:
            return bool(self.problem.coin[row])
        here = self.place[row]
        low, high = self.reached.get(row, (here, here - 1))
        known = [self.line[row]]
        known += [self.line[self.units[low]]] if low < here else []
        known += [self.line[self.units[high]]] if high >= here else []
        known += [] if last is None else [self.line[last]]
        return bool(self.line[self.units[above]] - max(known) < min(known) - self.line[self.units[below]])


def _sorted_rows(problem: Problem) -> np.ndarray:
    """Rows by stratum, score and rank."""
    rows = np.empty(len(problem.rank), dtype=np.int64)
    rows[problem.rank] = np.arange(len(rows))
    rows = rows[np.argsort(problem.score[rows], kind="stable")]
    strata = problem.group[rows]
    if strata.max(initial=0) < np.iinfo(np.int16).max:
        strata = strata.astype(np.int16)  # sorted by digits, in linear time
    return rows[np.argsort(strata, kind="stable")]


def _line_positions(problem: Problem) -> np.ndarray:
    """Each row's place among all rows, whatever their stratum, sorted by score."""
    position = np.empty(len(problem.score), dtype=np.int64)
    position[np.argsort(problem.score, kind="stable")] = np.arange(len(position))
    return position


def _find(parent: dict[int, int], place: int) -> int:
    """The nearest free place in one direction, halving the path on the way; places not in ``parent`` are free."""
    while (above := parent.get(place, place)) != place:
        parent[place] = parent.get(above, above)
        place = above
    return place
