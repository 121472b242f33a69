"""Test inversion by the conditional least-favourable hybrid, without simulation, for bounds on the change in a trend.

Andrews, I., Roth, J. & Pakes, A. (2023). Inference for linear conditional moment inequalities. Review of Economic Studies
90(6), 2763-2791. Rambachan, A. & Roth, J. (2023), sections 3.2 and 3.3, Review of Economic Studies 90(5), 2555-2591.

A null value of the effect is kept if some effects of the other periods make every inequality hold. The statistic is the
least studentised excess, over those effects, of the worst inequality. By duality it is the largest of a few linear
functions of the estimates, the vertices. The restrictions here say that each step after the start lies between a lower and
an upper bound. The steps must add up to the effect, so the vertices are: upper bounds for a too high effect, lower bounds
for a too low one, and, for each step, its pair of bounds, which contradict each other when they cross. Every vertex is
linear in two normal variables: the estimate itself, and the early step that sets the bounds. So the least-favourable
critical value is a one-dimensional integral, and is exact here where the paper simulates it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtri

from evaluation.impact.honest_restrictions import EventStudy

FIRST_STAGE_SHARE = 0.1  # of the size, spent on the least-favourable stage: Rambachan & Roth's choice
GRID = 400  # points on which an end is looked for, before it is refined
HALVINGS = 48  # of a grid cell: to rounding
NODES = 48  # of the quadrature on each smooth piece: to rounding
SAME = 1e-9  # a vertex that moves with another one to one, to within this, never crosses it
NEVER = 1e-12  # a height so low that its tail probability is zero

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)


@dataclass(frozen=True, eq=False)
class Vertices:
    """The vertices of several cases of one restriction, side by side.

    Attributes
    ----------
    directions : ndarray (cases, vertices, 2)
        Coefficients on the effect's estimate less its null value, and on the early step. The first vertex rises with the
        former, the second falls, the others do not depend on it and do not rise with the latter. Each is studentised.
    constants : ndarray (cases, vertices)
        What the bounds hold beside the early step.
    early : ndarray (cases,)
        Estimate of the early step.
    covariance : ndarray (cases, 2, 2)
        Of the effect's estimate and the early step.
    """

    directions: np.ndarray
    constants: np.ndarray
    early: np.ndarray
    covariance: np.ndarray


def relative_vertices(study: EventStudy, m: float) -> Vertices:
    """The vertices of the relative-magnitude restriction: one case for each early step and each of its signs.

    A case says that no step after the start, per unit of time, is larger than ``m`` times that early step; the restriction
    is the union of the cases. As Rambachan & Roth recommend, only inequalities that involve periods after the start are tested.
    """
    late, early = study.slopes[study.n_pre :], study.slopes[: study.n_pre]
    early = np.concatenate([early, -early])
    carried = study.carried(study.slopes)
    rises, falls, size = np.maximum(carried, 0), np.maximum(-carried, 0), np.abs(carried).sum()
    late_variance, early_variance = _quadratic(late, study.vcov), _quadratic(early, study.vcov)
    shared = 2 * m * (early @ study.vcov @ late.T)
    either = late_variance + m**2 * early_variance[:, None]
    above, below = np.sqrt(either - shared), np.sqrt(either + shared)  # of each step's excess over its two bounds
    too_high, too_low = above @ rises + below @ falls, above @ falls + below @ rises
    directions = np.zeros((len(early), 2 + len(late), 2))
    directions[:, 0] = np.stack([1 / too_high, -m * size / too_high], axis=1)
    directions[:, 1] = np.stack([-1 / too_low, -m * size / too_low], axis=1)
    directions[:, 2:, 1] = -2 * m / (above + below)
    weights = np.concatenate([np.zeros(study.n_pre), study.target])
    pairs = np.stack([np.broadcast_to(weights, early.shape), early], axis=1)
    covariance = pairs @ study.vcov @ pairs.transpose(0, 2, 1)
    return Vertices(directions, np.zeros(directions.shape[:2]), early @ study.estimates, covariance)


def excess_range(vertices: Vertices, level: float) -> tuple[float, float]:
    """Least and largest excess of the effect's estimate over a null value that the hybrid test of some case keeps.

    Parameters
    ----------
    vertices : Vertices
    level : float
        Confidence level. The set of kept values need not be connected; these are its ends.
    """
    first = FIRST_STAGE_SHARE * (1 - level)
    second = (1 - level - first) / (1 - first)
    cap = least_favourable_value(vertices, first)
    base = _at_zero_excess(vertices)
    # Beyond these the first stage rejects whatever the second says; where they cross it always does.
    low, high = (cap - base[:, 1]) / vertices.directions[:, 1, 0], (cap - base[:, 0]) / vertices.directions[:, 0, 0]
    places = np.concatenate([np.linspace(low, high, GRID, axis=1), _switches(vertices, base, low, high)], axis=1)
    places.sort(axis=1)
    kept = p_value(vertices, places, cap) >= second
    some = kept.any(axis=1)
    ends = [_refine(vertices, places[:, order], kept[:, order], cap, second)[some] for order in (slice(None), slice(None, None, -1))]
    return float(ends[0].min()), float(ends[1].max())


def p_value(vertices: Vertices, excess: np.ndarray, cap: np.ndarray) -> np.ndarray:
    """Conditional p-values, given which vertex is the largest and what does not vary with it, and that it is at most ``cap``.

    Parameters
    ----------
    vertices : Vertices
    excess : ndarray (cases, k)
        Estimate of the effect less null values.
    cap : ndarray (cases,)
        First-stage critical value; infinite for the conditional test alone. Beyond it the p-value is zero.

    Returns
    -------
    ndarray (cases, k)
    """
    values = vertices.directions[:, None, :, 0] * excess[:, :, None] + _at_zero_excess(vertices)[:, None, :]
    largest = values.argmax(axis=2)
    statistic = values.max(axis=2)
    spread = vertices.directions @ vertices.covariance @ vertices.directions.transpose(0, 2, 1)
    rows = np.arange(len(spread))[:, None]
    variance = spread[rows, largest, largest]
    moving = variance > 0
    ratio = spread[rows, largest] / np.where(moving, variance, 1.0)[:, :, None]
    rest = 1 - ratio
    # Where the others, as the statistic moves and all else stays, would overtake it.
    crossing = (values - ratio * statistic[:, :, None]) / np.where(np.abs(rest) > SAME, rest, 1.0)
    low = np.where(rest > SAME, crossing, -np.inf).max(axis=2)
    high = np.minimum(np.where(rest < -SAME, crossing, np.inf).min(axis=2), cap[:, None])
    std_error = np.sqrt(np.where(moving, variance, 1.0))
    tail = _upper_tail(statistic / std_error, np.minimum(low, statistic) / std_error, np.maximum(high, statistic) / std_error)
    tail = np.where(moving, tail, 0.0)
    return np.where(statistic <= 0, 1.0, np.where(statistic > high, 0.0, tail))


def least_favourable_value(vertices: Vertices, size: float) -> np.ndarray:
    """Critical value of the largest vertex when every inequality just holds, by case.

    The largest of linear functions of a standard normal pair is radius times a function of the angle, and the radius's tail
    is known: the probability to exceed c is the mean over angles of exp(-c^2 / 2 h^2), smooth between known angles.
    """
    shaped = vertices.directions @ _root(vertices.covariance)
    lengths = np.linalg.norm(shaped, axis=2)
    # Those that do not depend on the effect point the same way: the longest is above the others.
    others = np.arange(2, lengths.shape[1])
    if len(others):
        longest = others[lengths[:, 2:].argmax(axis=1)]
        shaped = np.concatenate([shaped[:, :2], shaped[np.arange(len(shaped)), longest][:, None]], axis=1)
    angles, weights = _pieces(shaped)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    height = np.maximum((shaped @ circle).max(axis=1), NEVER)
    longest = lengths.max(axis=1)
    low, high = -ndtri(size) * longest, -ndtri(size / 6) * longest  # one direction alone; Bonferroni with one spare
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        exceeds = (weights * np.exp(-((middle[:, None] / height) ** 2) / 2)).sum(axis=1) > size
        low, high = np.where(exceeds, middle, low), np.where(exceeds, high, middle)
    return (low + high) / 2


def _at_zero_excess(vertices: Vertices) -> np.ndarray:
    """Values of the vertices where the null value is the estimate."""
    return vertices.constants + vertices.directions[:, :, 1] * vertices.early[:, None]


def _quadratic(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return np.einsum("ij,jk,ik->i", rows, matrix, rows)


def _root(covariance: np.ndarray) -> np.ndarray:
    """Square roots of covariance matrices of two variables, which may be perfectly correlated."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]


def _pieces(shaped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles and weights, adding up to one, of a quadrature on the circle with breaks where the upper envelope changes."""
    first, second = np.triu_indices(shaped.shape[1], 1)
    normals = np.concatenate([shaped, shaped[:, first] - shaped[:, second]], axis=1)
    breaks = np.arctan2(normals[:, :, 0], -normals[:, :, 1])
    breaks = np.sort(np.concatenate([breaks, breaks + np.pi], axis=1) % (2 * np.pi), axis=1)
    breaks = np.concatenate([breaks, breaks[:, :1] + 2 * np.pi], axis=1)
    half = np.diff(breaks, axis=1)[:, :, None] / 2
    angles = breaks[:, :-1, None] + half * (1 + _POINTS)
    return angles.reshape(len(shaped), -1), (half * _WEIGHTS / (2 * np.pi)).reshape(len(shaped), -1)


def _switches(vertices: Vertices, base: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Excesses at which another vertex becomes the largest, held within the range that is searched."""
    slopes = vertices.directions[:, :, 0]
    pairs = [(0, 1), *((k, j) for k in (0, 1) for j in range(2, base.shape[1]))]
    found = np.stack([(base[:, j] - base[:, k]) / (slopes[:, k] - slopes[:, j]) for k, j in pairs], axis=1)
    return np.clip(found, np.minimum(low, high)[:, None], np.maximum(low, high)[:, None])


def _refine(vertices: Vertices, places: np.ndarray, kept: np.ndarray, cap: np.ndarray, second: float) -> np.ndarray:
    """Each case's outermost kept value, by bisection between the first kept place in a row and the rejected one before it."""
    rows, found = np.arange(len(kept)), np.argmax(kept, axis=1)
    inside, outside = places[rows, found], places[rows, np.maximum(found - 1, 0)]
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        keeps = p_value(vertices, middle[:, None], cap)[:, 0] >= second
        inside, outside = np.where(keeps, middle, inside), np.where(keeps, outside, middle)
    return inside


def _upper_tail(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Probability above a value of a standard normal variable truncated to a range that holds it."""
    at, start, end = log_ndtr(-value), log_ndtr(-low), log_ndtr(-high)
    mass = -np.expm1(end - start)
    return np.where(mass > 0, np.exp(at - start) * -np.expm1(end - at) / np.where(mass > 0, mass, 1.0), 1.0)
