"""The shortest interval of fixed length for an effect whose trend may bend by a bounded amount.

Rambachan, A. & Roth, J. (2023), section 4.1, Review of Economic Studies 90(5), 2555-2591, after Armstrong, T. & Kolesar, M. (2018).
Optimal inference in a class of regression models. Econometrica 86(2), 655-683.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import ndtr, ndtri

from evaluation.errors import UnidentifiedError
from evaluation.impact.honest_restrictions import EventStudy

# Relative to the largest penalty: far finer than any figure that is printed.
PENALTY_PRECISION = 1e-13
# Columns that would enter together enter one after the other; the coefficients move by no more than this.
TIE_BREAK = 1e-11
# Products with the remainder may pass their bounds by this share of its first length, from rounding.
UNSOLVED = 1e-8
LONGEST_PATH = 20  # changes a column


@dataclass(frozen=True, eq=False)
class BendWeights:
    """The affine estimators of an effect from which every linear trend cancels, and those that trade variance for bias best.

    The weights on the estimates are ``fixed + early' free``. ``fixed`` is the target's effect less the trend carried on
    from the last gap before the start; ``free`` are coefficients on the bends before the start. With bends of at most m
    the bias is at most m times (``fixed_size`` plus the sum of absolute ``free``).

    Attributes
    ----------
    study : EventStudy
    fixed : ndarray (n_pre + n_post,)
    fixed_size : float
        Sum of the absolute coefficients on bends from the start on, which the target settles.
    early : ndarray (n_pre - 1, n_pre + n_post)
        Rows of bends before the start.
    penalties : ndarray (knots,)
        Ascending, from zero: penalties on the absolute sum of ``free`` at which the set of bends in use changes.
    path : ndarray (knots, n_pre - 1)
        The best ``free`` at these penalties, zero at the last; between them it is linear.
    """

    study: EventStudy
    fixed: np.ndarray
    fixed_size: float
    early: np.ndarray
    penalties: np.ndarray
    path: np.ndarray


def folded_normal_quantile(mean: float, level: float) -> float:
    """Quantile of the absolute value of a normal variable of this mean, zero or more, and unit variance."""
    from scipy.optimize import brentq

    # Above the mean it lies between the quantile of one tail, when zero is far away, and that of two.
    low, high = ndtri(level) - 1e-6, ndtri((1 + level) / 2) + 1e-6
    return mean + brentq(lambda above: ndtr(above) - ndtr(-2 * mean - above) - level, low, high, xtol=1e-15, rtol=1e-14)


def bend_weights(study: EventStudy) -> BendWeights:
    """What the restriction on bends leaves free for an event study and its target.

    Raises
    ------
    UnidentifiedError
        The covariance is so close to short rank that the best weights cannot be told.
    """
    carried, n_early = study.carried(study.bends), study.n_pre - 1
    fixed, early = study.bends[n_early:].T @ carried, study.bends[:n_early]
    root = cholesky(study.vcov)
    penalties, path = _penalised_path(root @ early.T, root @ fixed)
    return BendWeights(study, fixed, float(np.abs(carried).sum()), early, penalties, path)


def _penalised_path(columns: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients that minimise |start + columns b|^2 / 2 + penalty * sum |b|, at every penalty where the set in use changes.

    From the least penalty that leaves nothing in use, downwards: until the next column reaches its bound or a coefficient
    in use reaches zero, coefficients are linear in the penalty and solve a least-squares problem.
    """
    count = columns.shape[1]
    lengths = np.linalg.norm(columns, axis=0)
    columns = columns / lengths
    bounds = (1 + TIE_BREAK * np.arange(count)) / lengths  # of a column's product with the remainder, per unit of penalty
    signs, changed = np.zeros(count), None
    penalty = float(np.max(np.abs(columns.T @ start) / bounds, initial=0.0))
    knots, found = [penalty], [np.zeros(count)]
    for _ in range(LONGEST_PATH * (count + 1)):
        level, tilt = _in_use(columns, start, bounds, signs)
        # Products with the remainder, and where on the way down they meet their bounds.
        product = -columns.T @ (start + columns @ level), -columns.T @ (columns @ tilt)
        with np.errstate(divide="ignore", invalid="ignore"):
            meets = {sign: np.where(signs == 0, product[0] / (sign * bounds - product[1]), 0.0) for sign in (1.0, -1.0)}
            leaves = np.where(signs != 0, -level / tilt, 0.0)
        if changed is not None:  # what has just changed side is at its bound
            index, sign = changed
            (leaves if signs[index] else meets[sign])[index] = 0.0
        events = np.stack([leaves, meets[1.0], meets[-1.0]])
        events[~((events > 0) & (events <= penalty))] = 0.0
        kind, index = np.unravel_index(events.argmax(), events.shape) if count else (0, 0)
        penalty = float(events.max(initial=0.0))
        knots.append(penalty)
        found.append(level + penalty * tilt)
        if penalty == 0:
            break
        changed = (index, signs[index] if kind == 0 else (1.0, -1.0)[kind - 1])
        signs[index] = 0.0 if kind == 0 else changed[1]
    knots, found = np.array(knots), np.array(found)
    excess = np.abs((start + found @ columns.T) @ columns) - knots[:, None] * bounds
    if penalty > 0 or (excess > UNSOLVED * np.linalg.norm(start)).any():
        raise UnidentifiedError("vcov is so close to short rank that the shortest interval cannot be found", where="vcov",
                                mend="use fewer periods before the start.")  # fmt: skip
    return knots[::-1], (found / lengths)[::-1]


def _in_use(columns: np.ndarray, start: np.ndarray, bounds: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients at no penalty, and their change per unit of it, while the columns in use and their signs stay."""
    level, tilt, used = np.zeros(len(signs)), np.zeros(len(signs)), signs != 0
    if not used.any():
        return level, tilt
    basis, triangle = np.linalg.qr(columns[:, used])
    level[used] = -solve_triangular(triangle, basis.T @ start)
    tilt[used] = -solve_triangular(triangle, solve_triangular(triangle, (bounds * signs)[used], trans="T"))
    return level, tilt


def shortest_interval(weights: BendWeights, m: float, level: float) -> tuple[float, float]:
    """The interval of least length that holds the effect at this level, whatever the trend.

    For every bias the least variance is on the path of a quadratic programme that penalises absolute coefficients. Along
    the penalty bias falls and variance rises, the length is quasi-convex, and its minimum is the root of the first-order
    condition.

    Parameters
    ----------
    weights : BendWeights
    m : float
        Largest change, per unit of time, of the slope of the difference in trends; zero or more.
    level : float
    """
    from scipy.optimize import brentq

    highest = float(weights.penalties[-1])  # from here on no bend before the start is worth using
    if m == 0 or highest == 0:
        return _interval(weights, 0.0, m, level)
    if _condition(highest, weights, m, level) <= 0:
        return _interval(weights, highest, m, level)
    penalty = brentq(_condition, 0.0, highest, args=(weights, m, level), xtol=PENALTY_PRECISION * highest, rtol=1e-12)
    return _interval(weights, penalty, m, level)


def _estimator(weights: BendWeights, penalty: float) -> tuple[np.ndarray, float, float]:
    """Weights on the estimates at a penalty, with their bias per unit of m and their standard error."""
    free = np.array([np.interp(penalty, weights.penalties, column) for column in weights.path.T])
    combined = weights.fixed + weights.early.T @ free
    return combined, weights.fixed_size + float(np.abs(free).sum()), float(np.sqrt(combined @ weights.study.vcov @ combined))


def _condition(penalty: float, weights: BendWeights, m: float, level: float) -> float:
    """Positive where a lower penalty would shorten the interval."""
    _, size, std_error = _estimator(weights, penalty)
    ratio = m * size / std_error
    quantile = folded_normal_quantile(ratio, level)
    by_ratio = np.tanh(quantile * ratio)  # derivative of the quantile
    return penalty * (quantile - ratio * by_ratio) - std_error * m * by_ratio


def _interval(weights: BendWeights, penalty: float, m: float, level: float) -> tuple[float, float]:
    combined, size, std_error = _estimator(weights, penalty)
    half_length = std_error * folded_normal_quantile(m * size / std_error, level)
    centre = float(combined @ weights.study.estimates)
    return centre - half_length, centre + half_length
