"""Entropy balancing: comparison weights, as even as can be, that give the comparison arm the treated arm's means."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.design.propensity import redundant_columns
from evaluation.errors import UnidentifiedError

MAX_STEPS = 200
"""Newton steps before balance is given up; a solution that exists takes fewer than 20."""

BALANCE_TOLERANCE = 1e-10
"""Largest difference of means left, in standard deviations of the comparison arm."""


def entropy_weights(frame: pd.DataFrame, treated: np.ndarray) -> np.ndarray:
    """Weights that balance means exactly and differ least from equal ones [Hainmueller 2012].

    The dual is convex and is minimised by damped Newton steps, so that means agree to rounding rather than to an optimiser's
    default tolerance.

    Parameters
    ----------
    frame : DataFrame, shape (n, k)
        Finite numbers; a column that others determine adds nothing and is left out.
    treated : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of float, shape (n,)
        1 for treated units; comparison weights add up to the number of treated units.

    Raises
    ------
    UnidentifiedError
        No weights give the comparison arm the treated arm's means: they lie outside what comparison units span.
    """
    comparison = frame.loc[~treated]
    spare = redundant_columns(comparison)
    target = frame.loc[treated].mean()
    fixed = [name for name in spare if comparison[name].nunique() == 1 and not np.isclose(target[name], comparison[name].iloc[0])]
    if fixed:
        raise UnidentifiedError(f"covariate(s) {', '.join(fixed)} do not vary in the comparison arm and differ in the treated one", where="on",
                                mend="leave them out, or match exactly on them")
    kept = [name for name in frame.columns if name not in spare]
    x = comparison[kept].to_numpy(dtype=float)
    centred = (x - target[kept].to_numpy()) / x.std(axis=0)
    share = _tilt(centred)
    left = pd.Series(share @ (comparison.to_numpy(dtype=float) - target.to_numpy()), index=frame.columns)
    scale = frame.std(ddof=0).replace(0.0, 1.0)
    if share.min() < 0 or (left.abs() / scale).max() > 1e3 * BALANCE_TOLERANCE:
        raise UnidentifiedError("the columns that other columns determine among comparison units do not determine them among treated ones", where="on",
                                mend=f"leave out {', '.join(spare) or 'one of them'}")
    weights = np.ones(len(frame))
    weights[~treated] = share * treated.sum()
    return weights


def _tilt(centred: np.ndarray) -> np.ndarray:
    """Shares proportional to exp(x'b) under which every column of x averages 0."""
    slope = np.zeros(centred.shape[1])
    share, height = _shares(centred, slope)
    for _ in range(MAX_STEPS):
        mean = share @ centred
        if np.abs(mean).max(initial=0.0) < BALANCE_TOLERANCE:
            return share
        spread = (centred * share[:, None]).T @ centred - np.outer(mean, mean)
        try:
            step = -np.linalg.solve(spread, mean)
        except np.linalg.LinAlgError:
            break
        length = 1.0
        while length > 1e-10:
            new_share, new_height = _shares(centred, slope + length * step)
            if new_height <= height + 1e-4 * length * float(mean @ step) + 1e-14 * abs(height):
                break
            length /= 2.0
        slope, share, height = slope + length * step, new_share, new_height
    raise UnidentifiedError("no weights give the comparison units the means of the treated ones: these lie outside, or at the edge of, "
                            "what comparison units span", where="on", mend="balance fewer covariates, or leave out treated units without counterparts")


def _shares(centred: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, float]:
    """Shares at a slope, and the dual's height: the logarithm of the mean of exp(x'b)."""
    tilt = centred @ slope
    most = tilt.max(initial=-np.inf)
    raised = np.exp(tilt - most)
    return raised / raised.sum(), float(most + np.log(raised.mean()))
