"""Optimal pair matching and optimal full matching: the sets whose distances add up to the least."""

from __future__ import annotations

import numpy as np

from evaluation.design.nearest import Problem, Triples
from evaluation.errors import ParameterError

MOST_CELLS = 100_000_000
"""Pairs that one exact stratum may have: each costs 8 bytes, twice."""


def pair_optimally(problem: Problem, ratio: int) -> Triples:
    """Pairs with the least total distance among those that match as many units as can be matched [Rosenbaum 1989].

    With a ratio, as many units as can be get a first partner before any second one counts; then as many partners as can be had.

    Parameters
    ----------
    problem : Problem
    ratio : int
        Partners of each seeker.

    Returns
    -------
    takers, taken, gaps : ndarray
        As :func:`evaluation.design.nearest.choose_in_turn`.

    Raises
    ------
    ParameterError
        A stratum has too many pairs.
    """
    from scipy.optimize import linear_sum_assignment  # costs a third of a second: only who asks for it waits

    parts: list[Triples] = []
    for rows, others in _strata(problem):
        gaps = _distances(problem, np.repeat(rows, ratio), others)
        finite = np.isfinite(gaps)
        if not finite.any():
            continue
        # One pair more is worth any distance, so that a caliper never costs a match that could be had, and one unit more any number of pairs.
        pair = (gaps[finite].max() + 1.0) * (min(gaps.shape) + 1)
        unit = pair * (min(gaps.shape) + 1) if ratio > 1 else pair
        worth = np.where(np.arange(len(gaps)) % ratio == 0, unit, pair)
        here, there = linear_sum_assignment(np.where(finite, gaps - worth[:, None], 0.0))
        kept = finite[here, there]
        here, there = here[kept], there[kept]
        parts.append((np.repeat(rows, ratio)[here], others[there], gaps[here, there]))
    if not parts:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def match_fully(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Every unit that has a partner within the caliper enters a set of one unit of an arm and one or more of the other [Hansen 2004].

    The sets with the least total distance are the cheapest edge cover of the units. A pair (i, j) in it saves, against
    both taking their nearest partner, m_i + m_j - d_ij; pairs with the largest total saving are an assignment problem, and
    every unit not in one then joins its nearest partner.

    Returns
    -------
    set_of_row : ndarray of int, shape (n,)
        Row of the set's centre, -1 for units in no set.
    gaps : ndarray of float, shape (n,)
        Distance from the centre, 0 for the centre itself.

    Raises
    ------
    ParameterError
        A stratum has too many pairs.
    """
    set_of_row = np.full(len(problem.group), -1, dtype=np.int64)
    gaps = np.zeros(len(problem.group))
    for rows, others in _strata(problem):
        between = _distances(problem, rows, others)
        rows, others, between = _with_partner(rows, others, between)
        if not len(rows):
            continue
        edges = _cheapest_cover(between)
        degree = np.bincount(edges[:, 0], minlength=len(rows)), np.bincount(edges[:, 1], minlength=len(others))
        for i, j in edges.tolist():
            row, other = rows[i], others[j]
            centre, leaf = (row, other) if degree[0][i] > 1 or degree[1][j] == 1 else (other, row)
            set_of_row[centre] = set_of_row[leaf] = centre
            gaps[leaf] = between[i, j]
    return set_of_row, gaps


def _strata(problem: Problem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Seekers and pool of each exact stratum that has both, in order of rank, so that ties do not hang on the order of rows."""
    by_rank = np.empty(len(problem.rank), dtype=np.int64)
    by_rank[problem.rank] = np.arange(len(by_rank))
    strata = problem.group[by_rank]
    parts = []
    for stratum in np.intersect1d(problem.group[problem.seekers], problem.group[problem.pool]):
        rows = by_rank[strata == stratum]
        parts.append((rows[problem.seekers[rows]], rows[problem.pool[rows]]))
    return parts


def _distances(problem: Problem, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distances between two lists of rows, infinite where a caliper forbids the pair."""
    if len(rows) * len(others) > MOST_CELLS:
        raise ParameterError(f"{len(rows):,} by {len(others):,} units in one stratum are too many for optimal matching", where="method",
                             mend='match exactly on more columns, or use method="nearest"')
    if problem.points is None:
        gaps = np.abs(problem.score[rows][:, None] - problem.score[others])
    else:
        gaps = np.zeros((len(rows), len(others)))
        for column in problem.points.T:
            gaps += (column[rows][:, None] - column[others]) ** 2
        np.sqrt(gaps, out=gaps)
    limits = problem.limits if problem.width is None else (*problem.limits, (problem.score, problem.width))
    for values, most in limits:
        gaps[np.abs(values[rows][:, None] - values[others]) > most] = np.inf
    return gaps


def _with_partner(rows: np.ndarray, others: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Without the units that no partner is allowed for."""
    finite = np.isfinite(gaps)
    here, there = finite.any(axis=1), finite.any(axis=0)
    return rows[here], others[there], gaps[np.ix_(here, there)]


def _cheapest_cover(gaps: np.ndarray) -> np.ndarray:
    """Edges (i, j), one row each, that reach every row and every column of a matrix of distances at the least total."""
    from scipy.optimize import linear_sum_assignment

    nearest_here, nearest_there = gaps.argmin(axis=1), gaps.argmin(axis=0)
    saved = gaps.min(axis=1)[:, None] + gaps.min(axis=0) - gaps
    np.maximum(saved, 0.0, out=saved)  # forbidden pairs save nothing
    here, there = linear_sum_assignment(saved, maximize=True)
    chosen = saved[here, there] > 0
    here, there = here[chosen], there[chosen]
    alone_here = np.setdiff1d(np.arange(gaps.shape[0]), here)
    alone_there = np.setdiff1d(np.arange(gaps.shape[1]), there)
    edges = np.unique(np.vstack([np.column_stack([here, there]), np.column_stack([alone_here, nearest_here[alone_here]]),
                                 np.column_stack([nearest_there[alone_there], alone_there])]), axis=0)  # fmt: skip
    return _without_spare(edges, gaps)


def _without_spare(edges: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Leave out edges whose two ends are reached by others too (ties at distance 0 make such edges), longest first."""
    degree = np.bincount(edges[:, 0], minlength=gaps.shape[0]), np.bincount(edges[:, 1], minlength=gaps.shape[1])
    kept = np.ones(len(edges), dtype=bool)
    for place in np.argsort(-gaps[edges[:, 0], edges[:, 1]], kind="stable"):
        i, j = edges[place]
        if degree[0][i] > 1 and degree[1][j] > 1:
            kept[place] = False
            degree[0][i] -= 1
            degree[1][j] -= 1
    return edges[kept]
