"""Nearest neighbours on one score, exactly and fast: the search behind matching.

All rows, treated ones included, are sorted stably by stratum and score. The nearest comparison unit of a treated
unit then stands to its left or to its right, and the nearest *free* one is found by two union-find arrays in which
every taken unit points to its neighbour. A search costs next to nothing however many units are taken, so a million
rows need no tree and no approximation.
"""

from __future__ import annotations

import numpy as np

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]


def nearest_without_replacement(score: np.ndarray, treated: np.ndarray, group: np.ndarray, rank: np.ndarray, queue: np.ndarray,
                                coin: np.ndarray | None, *, ratio: int, caliper: float | None) -> Triples:
    """Greedy matching in which a comparison unit serves once.

    Parameters
    ----------
    score : ndarray of float, shape (n,)
        The distance measure.
    treated : ndarray of bool, shape (n,)
    group : ndarray of int, shape (n,)
        Exact stratum, 0 upwards.
    rank : ndarray of int, shape (n,)
        Place among rows with equal score.
    queue : ndarray of int
        Rows of treated units in the order in which they choose.
    coin : ndarray of bool, shape (n,), or None
        Whether a treated row takes the right-hand unit when both sides are equally near; None: always the left.
    ratio : int
        Rounds; a treated unit that finds nobody in one round takes no part in later ones.
    caliper : float or None
        Largest distance, in units of ``score``.

    Returns
    -------
    takers, taken, gaps : ndarray
        Treated row, comparison row, distance: one entry a pair.
    """
    arranged = np.lexsort((rank, score, group))
    n = len(arranged)
    position = np.empty(n, dtype=np.int64)
    position[arranged] = np.arange(1, n + 1)  # 0 and n + 1 are walls
    first, last = _bounds(group[arranged])
    sorted_score = [0.0, *score[arranged].tolist(), 0.0]
    is_free = np.concatenate([[True], ~treated[arranged], [True]])
    places = np.arange(n + 2)
    left = np.where(is_free, places, places - 1).tolist()
    right = np.where(is_free, places, places + 1).tolist()
    limit = np.inf if caliper is None else caliper
    takers: list[int] = []
    taken: list[int] = []
    gaps: list[float] = []
    waiting = queue.tolist()
    row_position, row_group = position.tolist(), group.tolist()
    for _ in range(ratio):
        served = []
        for row in waiting:
            here, stratum = row_position[row], row_group[row]
            below, above = _find(left, here), _find(right, here)
            own = sorted_score[here]
            gap_below = own - sorted_score[below] if below >= first[stratum] else np.inf
            gap_above = sorted_score[above] - own if above <= last[stratum] else np.inf
            if gap_above < gap_below or (gap_above == gap_below and coin is not None and coin[row]):
                chosen, gap = above, gap_above
            else:
                chosen, gap = below, gap_below
            if gap > limit or gap == np.inf:
                continue
            left[chosen], right[chosen] = chosen - 1, chosen + 1
            takers.append(row)
            taken.append(chosen)
            gaps.append(gap)
            served.append(row)
        waiting = served
    return np.array(takers, dtype=np.int64), arranged[np.array(taken, dtype=np.int64) - 1], np.array(gaps)


def nearest_with_replacement(score: np.ndarray, treated: np.ndarray, group: np.ndarray, rank: np.ndarray, queue: np.ndarray,
                             coin: np.ndarray | None, *, ratio: int, caliper: float | None) -> Triples:
    """Each treated unit's ``ratio`` nearest comparison units, whoever else has taken them.

    Parameters and result as :func:`nearest_without_replacement`.
    """
    arranged = np.lexsort((rank, score, group))
    pool = arranged[~treated[arranged]]
    before = np.cumsum(~treated[arranged])  # comparison units up to and including a place
    place = np.empty(len(arranged), dtype=np.int64)
    place[arranged] = before
    sizes = np.bincount(group[pool], minlength=int(group.max()) + 1)
    ends = np.cumsum(sizes)
    limit = np.inf if caliper is None else caliper
    takers: list[int] = []
    taken: list[int] = []
    gaps: list[float] = []
    for row in queue.tolist():
        stop = int(ends[group[row]])
        start = stop - int(sizes[group[row]])
        below, above = int(place[row]) - 1, int(place[row])
        for _ in range(ratio):
            gap_below = score[row] - score[pool[below]] if below >= start else np.inf
            gap_above = score[pool[above]] - score[row] if above < stop else np.inf
            upward = gap_above < gap_below or (gap_above == gap_below and coin is not None and bool(coin[row]))
            gap, chosen = (gap_above, above) if upward else (gap_below, below)
            if gap > limit or gap == np.inf:
                break
            takers.append(row)
            taken.append(int(pool[chosen]))
            gaps.append(float(gap))
            below, above = (below, above + 1) if upward else (below - 1, above)
    return np.array(takers, dtype=np.int64), np.array(taken, dtype=np.int64), np.array(gaps)


def _bounds(sorted_group: np.ndarray) -> tuple[list[int], list[int]]:
    """First and last place of each stratum, counted from 1."""
    strata = np.arange(int(sorted_group.max()) + 1)
    first = np.searchsorted(sorted_group, strata, side="left") + 1
    last = np.searchsorted(sorted_group, strata, side="right")
    return first.tolist(), last.tolist()


def _find(parent: list[int], place: int) -> int:
    """The nearest free place in one direction, halving the path on the way."""
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place
