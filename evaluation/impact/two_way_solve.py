"""Solves least squares with unit and period effects exactly, whatever is missing from the panel, a block of units at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr, solve_triangular

from evaluation.errors import UnidentifiedError
from evaluation.impact.two_way_panel import Panel

# Share of a column's length below which what other columns leave of it counts as nothing (rounding leaves about 1e-15).
NEGLIGIBLE = 1e-8
# Share of the outcome's length that rounding alone can leave behind.
ROUNDING = 1e-13
# Loading above which a term is named as part of an exact linear relation.
LOADING = 1e-6
# A direction of which other clusters hold less than this share of the information rests on one cluster alone.
LONE_CLUSTER = 1e-9
# Share of a term's own direction above which the term is said to rest on that cluster.
LONE_TERM = 1e-6
# Rows of one block: a block's columns take about 50 MB.
BLOCK_ROWS = 250_000
# Periods above which a unit's pattern of rows does not fit exactly into a double.
MOST_PERIODS = 50
NO_TERM = -1


@dataclass(frozen=True, eq=False)
class Design:
    """What the outcome is regressed on beside unit and period effects.

    Attributes
    ----------
    panel : Panel
    effect : ndarray of int, shape (n,)
        The indicator that is 1 in the row, or NO_TERM: effects are indicators of which a row has one at most.
    path : ndarray of int, shape (N,)
        Equal for units whose ``effect`` is the same in every period.
    names : sequence of str
        The effects, then the covariates.
    """

    panel: Panel
    effect: np.ndarray
    path: np.ndarray
    names: Sequence[str]


@dataclass(frozen=True, eq=False)
class Solution:
    """Estimates of the k terms and what their covariance is made from.

    Attributes
    ----------
    estimates : ndarray, shape (k,)
    combine : ndarray, shape (q, k)
        Takes sums over the orthonormal columns to the terms.
    scores : ndarray, shape (G, q), or None
        Per cluster, orthonormal columns times weight times residual.
    row_scores : ndarray, shape (q, q)
        Sum over rows of the outer products of the same, row by row.
    squares : float
        Weighted sum of squared residuals.
    lone : ndarray, shape (q, l)
        Directions that rest on one cluster alone.
    lone_clusters : tuple of int
    """

    estimates: np.ndarray
    combine: np.ndarray
    scores: np.ndarray | None
    row_scores: np.ndarray
    squares: float
    lone: np.ndarray
    lone_clusters: tuple[int, ...]

    def resting(self, directions: np.ndarray) -> np.ndarray:
        """Which of some combinations of terms, shape (k, m), rest on one cluster alone."""
        wanted = self.combine @ directions
        return np.linalg.norm(self.lone.T @ wanted, axis=0) > LONE_TERM * np.linalg.norm(wanted, axis=0)


def compress(design: Design) -> Design:
    """The same regression on fewer rows: units of one cluster whose columns are alike become one unit of their summed weight.

    Estimates and cluster-robust covariances are unchanged, because units with equal columns enter both through their weighted sum only;
    sums of squared residuals are not. Without covariates, with weights that do not change within a unit.
    """
    panel = design.panel
    count = len(panel.periods)
    if panel.covariates.shape[1] or count > MOST_PERIODS or not panel.steady_weights:
        return design
    presence = np.bincount(panel.units, 2.0**panel.times, minlength=panel.count)
    key = np.zeros(panel.count, dtype=np.int64)
    for values in (presence, design.path, panel.clusters):
        codes = np.unique(values, return_inverse=True)[1]
        key = np.unique(key * (int(codes.max()) + 1) + codes, return_inverse=True)[1]
    like, group = np.unique(key, return_index=True, return_inverse=True)[1:]
    if len(like) == panel.count:
        return design
    own = panel.weights[panel.first[:-1]]
    cells = group[panel.units] * count + panel.times
    sums = np.bincount(cells, own[panel.units] * panel.outcome, minlength=len(like) * count)
    totals = np.bincount(group, own)
    lengths = np.diff(panel.first)[like]
    first = np.append(0, np.cumsum(lengths))
    units = np.repeat(np.arange(len(like)), lengths)
    rows = np.arange(first[-1]) + (panel.first[:-1][like] - first[:-1])[units]
    times = panel.times[rows]
    alike = replace(
        panel, units=units, times=times, outcome=sums[units * count + times] / totals[units], weights=totals[units], covariates=np.empty((len(rows), 0)),
        rows=panel.rows[rows], first=first, clusters=panel.clusters[like],
    )  # fmt: skip
    return Design(alike, design.effect[rows], design.path[like], design.names)


def solve_two_way(design: Design) -> Solution:
    """Weighted least squares of the outcome on the terms with unit and period effects.

    Unit effects are taken out by weighted means and period effects enter as columns, so that the solution is exact (no iteration) and the same
    for balanced and unbalanced panels. Blocks of units are reduced to a triangle one after another (QR), which keeps full precision.

    Raises
    ------
    UnidentifiedError
        A term does not vary beside the effects; terms are collinear; the fit is exact.
    """
    panel, terms = design.panel, len(design.names)
    width = len(panel.periods) - 1
    triangle, lengths = _triangle(design)
    kept = _independent_periods(triangle[:width, :width], np.sqrt(np.bincount(panel.times, panel.weights, minlength=width + 1)[1:]))
    chosen = np.concatenate([kept, width + np.arange(terms + 1)])
    reduced = np.linalg.qr(triangle[:, chosen], mode="r")
    size = len(chosen) - 1
    _check_identified(reduced[len(kept) : size, len(kept) : size], lengths, design.names, terms - panel.covariates.shape[1])
    upper = reduced[:size, :size]
    coefficients = solve_triangular(upper, reduced[:size, size])
    centred = panel.outcome - np.average(panel.outcome, weights=panel.weights)
    root = np.sqrt(panel.weights)
    exact = max(NEGLIGIBLE * np.linalg.norm(root * centred), ROUNDING * np.linalg.norm(root * panel.outcome))
    if abs(reduced[size, size] if len(reduced) > size else 0.0) <= exact:
        raise UnidentifiedError("the terms and effects fit the outcome exactly, so nothing is left to judge uncertainty by",
                                mend="check that the outcome is not constant and not made from the terms.")  # fmt: skip
    inverse = solve_triangular(upper, np.eye(size))
    scores, row_scores, squares, leverage = _scores(design, chosen[:-1], coefficients, inverse)
    lone, owners = _lone_directions(design, chosen[:-1], inverse, leverage)
    return Solution(coefficients[len(kept) :], inverse[len(kept) :].T, scores, row_scores, squares, lone, owners)


def _blocks(design: Design) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Units, rows, and the columns (periods but the first, terms, outcome) less their weighted unit means, block by block."""
    panel = design.panel
    first, width, terms = panel.first, len(panel.periods) - 1, len(design.names)
    effects = terms - panel.covariates.shape[1]
    start = 0
    while start < panel.count:
        stop = max(int(np.searchsorted(first, first[start] + BLOCK_ROWS, side="right")) - 1, start + 1)
        rows = slice(first[start], first[stop])
        columns = np.zeros((rows.stop - rows.start, width + terms + 1))
        place = np.arange(len(columns))
        late = panel.times[rows] > 0
        columns[place[late], panel.times[rows][late] - 1] = 1.0
        active = design.effect[rows] != NO_TERM
        columns[place[active], width + design.effect[rows][active]] = 1.0
        columns[:, width + effects : -1] = panel.covariates[rows]
        columns[:, -1] = panel.outcome[rows]
        weights, begin = panel.weights[rows], first[start:stop] - first[start]
        means = np.add.reduceat(weights[:, None] * columns, begin, axis=0) / np.add.reduceat(weights, begin)[:, None]
        columns -= np.repeat(means, np.diff(first[start : stop + 1]), axis=0)
        yield slice(start, stop), rows, columns
        start = stop


def _triangle(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """R of the weighted columns, and the terms' weighted lengths before anything is taken out."""
    panel, size = design.panel, len(design.panel.periods) + len(design.names)
    triangle = np.zeros((0, size))
    for _, rows, columns in _blocks(design):
        scaled = np.sqrt(panel.weights[rows])[:, None] * columns
        triangle = np.linalg.qr(np.vstack([triangle, np.linalg.qr(scaled, mode="r")]), mode="r")
    if len(triangle) < size:
        triangle = np.vstack([triangle, np.zeros((size - len(triangle), size))])
    active = design.effect != NO_TERM
    effects = len(design.names) - panel.covariates.shape[1]
    dummies = np.bincount(design.effect[active], panel.weights[active], minlength=effects)
    return triangle, np.sqrt(np.concatenate([dummies, panel.weights @ panel.covariates**2]))


def _independent_periods(triangle: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The period indicators that do not repeat one another beside the unit effects (some do where groups of units share no period)."""
    left, order = qr(triangle / np.where(scale > 0, scale, 1.0), mode="r", pivoting=True)
    return np.sort(order[np.abs(np.diag(left)) > NEGLIGIBLE])


def _check_identified(left: np.ndarray, lengths: np.ndarray, names: Sequence[str], effects: int) -> None:
    """Refuse terms that do not vary beside the effects, and terms that repeat one another; the first ``effects`` are indicators."""
    sizes = np.linalg.norm(left, axis=0)
    still = sizes <= NEGLIGIBLE * lengths
    if still.any():
        listed = ", ".join(name for name, flag in zip(names, still, strict=True) if flag)
        raise UnidentifiedError("the term does not vary once unit and period effects are taken out, so its effect cannot be told",
                                where=f"term {listed}",
                                mend="leave it out; a column that is constant within units can enter multiplied with indicators of the periods.")  # fmt: skip
    values, directions = np.linalg.svd(left / sizes)[1:]
    involved = (np.abs(directions[values <= NEGLIGIBLE]) > LOADING).any(axis=0)
    if involved.any():
        listed = ", ".join(name for name, flag in zip(names, involved, strict=True) if flag)
        mend = "leave one of them out."
        if involved[:effects].sum() > 1:
            mend = ("look for units that lack the period before their start or have no comparison in the same periods, and leave them out and count "
                    "them; or use fewer covariates.")  # fmt: skip
        raise UnidentifiedError("these terms are exact combinations of one another and of the unit and period effects, so their effects cannot "
                                "be told apart", where=f"terms {listed}", mend=mend)  # fmt: skip


def _scores(design: Design, chosen: np.ndarray, coefficients: np.ndarray, inverse: np.ndarray) -> tuple:
    """Scores by cluster and by row, the sum of squares, and each cluster's share of information (its trace)."""
    panel, size = design.panel, len(chosen)
    groups = 0 if panel.clusters is None else int(panel.clusters.max()) + 1
    scores, leverage = np.zeros((groups, size)), np.zeros(groups)
    row_scores, squares = np.zeros((size, size)), 0.0
    for units, rows, columns in _blocks(design):
        weights = panel.weights[rows]
        orthonormal = columns[:, chosen] @ inverse
        residuals = columns[:, -1] - columns[:, chosen] @ coefficients
        squares += float(weights @ residuals**2)
        each = orthonormal * (weights * residuals)[:, None]
        if not groups:
            row_scores += each.T @ each
            continue
        begin, owner = panel.first[units] - panel.first[units.start], panel.clusters[units]
        sums = np.add.reduceat(each, begin, axis=0)
        shares = np.add.reduceat(weights * (orthonormal**2).sum(axis=1), begin)
        for column in range(size):
            scores[:, column] += np.bincount(owner, sums[:, column], minlength=groups)
        leverage += np.bincount(owner, shares, minlength=groups)
    return (scores if groups else None), row_scores, squares, leverage


def _lone_directions(design: Design, chosen: np.ndarray, inverse: np.ndarray, leverage: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Directions of which one cluster holds all information: its residuals there say nothing of the error."""
    suspects = np.flatnonzero(leverage >= 1 - LONE_CLUSTER)
    panel, size = design.panel, len(chosen)
    if not len(suspects):
        return np.empty((size, 0)), ()
    place = np.full(len(leverage), -1)
    place[suspects] = np.arange(len(suspects))
    information = np.zeros((len(suspects), size, size))
    for _, rows, columns in _blocks(design):
        whose = place[panel.clusters[panel.units[rows]]]
        orthonormal = np.sqrt(panel.weights[rows])[:, None] * (columns[:, chosen] @ inverse)
        for suspect in np.unique(whose[whose >= 0]):
            own = orthonormal[whose == suspect]
            information[suspect] += own.T @ own
    found, owners = [], []
    for suspect, matrix in enumerate(information):
        values, vectors = np.linalg.eigh(matrix)
        alone = vectors[:, values > 1 - LONE_CLUSTER]
        found.append(alone)
        owners += [int(suspects[suspect])] * alone.shape[1]
    return np.column_stack(found), tuple(owners)
