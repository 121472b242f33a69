"""Smooth regression of draws on the parameters that made them: penalised splines with generalised cross-validation.

The regression estimates the mean of a net benefit given parameters, which is all that the expected value of partly
perfect information needs [Strong, Oakley & Brennan 2014]. One basis serves every response: in the basis that makes
the design orthonormal and the penalty diagonal (Demmler and Reinsch), smoothing is a shrinkage of coefficients, so
that each response has its own smoothing at almost no cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from evaluation.errors import DataError

if TYPE_CHECKING:
    import numpy as np

SEGMENTS = 12
"""Intervals between knots of a parameter's spline."""
MOST_PARAMETERS = 6
"""Parameters of one group: beyond it the products of pairs no longer describe how they act together."""
PAIR_DEGREE = 3
"""Highest power of each parameter in the products that let two of them act together."""
SMOOTHING = 61
"""Values of the smoothing parameter tried, evenly spaced on a log scale."""


@dataclass(frozen=True)
class Smoother:
    """A basis of draws x columns, orthonormal, with the penalty of each column."""

    basis: np.ndarray
    penalty: np.ndarray

    def coefficients(self, responses: np.ndarray) -> np.ndarray:
        """Coefficients of responses (draws x responses) before smoothing."""
        return self.basis.T @ responses

    def shrunken(self, coefficients: np.ndarray, sum_of_squares: np.ndarray) -> np.ndarray:
        """Coefficients after smoothing, each response by the amount that generalised cross-validation chooses.

        Parameters
        ----------
        coefficients : ndarray, columns x responses
        sum_of_squares : ndarray, responses
            Of the responses themselves.
        """
        import numpy as np

        draws = len(self.basis)
        left_over = sum_of_squares - (coefficients**2).sum(axis=0)
        amounts = np.concatenate([[0.0], np.logspace(-9, 9, SMOOTHING)])
        kept = 1.0 / (1.0 + amounts[:, None] * self.penalty)
        residual = left_over + ((1.0 - kept) ** 2) @ (coefficients**2)
        score = residual / (1.0 - kept.sum(axis=1)[:, None] / draws) ** 2
        return kept[score.argmin(axis=0)].T * coefficients


def smoother(parameters: Mapping[str, np.ndarray]) -> Smoother:
    """A smoother on one parameter, or on a few together: a spline of each and, for several, products of each pair.

    A parameter with few distinct values has a level for each value instead of a spline.

    Raises
    ------
    DataError
        More than six parameters, draws that are missing or infinite, or no more draws than the basis has columns.
    """
    import numpy as np
    from scipy.linalg import eigh

    if not 1 <= len(parameters) <= MOST_PARAMETERS:
        raise DataError(f"{len(parameters)} parameters in one group; one to {MOST_PARAMETERS} can be regressed on together",
                        where="value of information", mend="split the group")
    draws = len(next(iter(parameters.values())))
    columns, penalties = [np.ones((draws, 1))], [np.zeros((1, 1))]
    for name, values in parameters.items():
        if not np.isfinite(values).all():
            raise DataError("a draw is missing or infinite", where=f"value of information, parameter `{name}`", mend="supply a finite number for each draw")
        own, penalty = _one(values)
        columns.append(own)
        penalties.append(penalty)
    if len(parameters) > 1:
        scores = {name: _powers(values) for name, values in parameters.items()}
        pairs = [(a[:, :, None] * b[:, None, :]).reshape(draws, -1) for a, b in combinations(scores.values(), 2)]
        columns += pairs
        penalties += [np.eye(pair.shape[1]) for pair in pairs]
    design = np.concatenate(columns, axis=1)
    design[:, 1:] -= design[:, 1:].mean(axis=0)
    if design.shape[1] >= draws:
        raise DataError(f"{draws} draws and {design.shape[1]} columns of the regression", where="value of information", mend="supply more draws")
    gram = design.T @ design / draws
    values, vectors = eigh(gram)
    sound = values > 1e-10 * values[-1]
    root = vectors[:, sound] / np.sqrt(values[sound])
    penalty_values, turned = eigh(root.T @ _blocks(penalties) @ root)
    # What is not penalised (a straight line, a level) has a penalty of rounding size, which a strong smoothing would let grow.
    penalty_values[penalty_values < 1e-9 * max(penalty_values[-1], 1.0)] = 0.0
    return Smoother(design @ (root @ turned) / np.sqrt(draws), penalty_values)


def _one(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and penalty of one parameter, standardised so that its unit does not matter; a constant has no column."""
    import numpy as np

    levels = np.unique(values)
    if len(levels) == 1:
        return np.empty((len(values), 0)), np.zeros((0, 0))
    if len(levels) <= SEGMENTS:
        return (values[:, None] == levels[None, 1:]).astype(float), np.zeros((len(levels) - 1,) * 2)
    scaled = (values - np.median(values)) / (np.quantile(values, 0.75) - np.quantile(values, 0.25) or values.std())
    inner = np.unique(np.quantile(scaled, np.linspace(0, 1, SEGMENTS + 1)))
    return _cubic(scaled, inner)


def _cubic(values: np.ndarray, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cubic B-splines with knots at ``inner``, and the integral of the product of their second derivatives."""
    import numpy as np
    from scipy.interpolate import BSpline

    knots = np.concatenate([np.repeat(inner[0], 3), inner, np.repeat(inner[-1], 3)])
    count = len(knots) - 4
    basis = BSpline.design_matrix(np.clip(values, inner[0], inner[-1]), knots, 3).toarray()
    curvature = BSpline(knots, np.eye(count), 3).derivative(2)
    # Second derivatives are straight lines between knots, so two Gauss points make the integral exact.
    widths, middles = np.diff(inner) / 2, (inner[:-1] + inner[1:]) / 2
    penalty = np.zeros((count, count))
    for point in (-1 / np.sqrt(3), 1 / np.sqrt(3)):
        second = curvature(middles + point * widths)
        penalty += (second * widths[:, None]).T @ second
    return basis, penalty


def _powers(values: np.ndarray) -> np.ndarray:
    """Orthonormal polynomials of a parameter's normal scores, bounded whatever its distribution."""
    import numpy as np
    from scipy.special import ndtri
    from scipy.stats import rankdata

    score = ndtri((rankdata(values) - 0.5) / len(values))
    return np.linalg.qr(np.vander(score, PAIR_DEGREE + 1, increasing=True))[0][:, 1:] * np.sqrt(len(values))


def _blocks(penalties: list[np.ndarray]) -> np.ndarray:
    from scipy.linalg import block_diag

    return block_diag(*penalties)
