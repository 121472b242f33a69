"""The joint test of the cells before the start, and the drift between the arms that it would have found.

Roth, J. (2022). Pretest with caution: event-study estimates after testing for parallel trends. American Economic Review: Insights 4(3),
305-322. A test that finds nothing is no evidence of parallel trends where the drift that it could have found is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from scipy.special import chdtrc, chdtri, chndtrinc

from evaluation.impact.group_time_plan import Cell

POWER = 0.8
SIZE = 0.05
RANK_SHORT = 1e-10
"""Smallest eigenvalue of the correlations at which the cells count as linearly independent."""


@dataclass(frozen=True, repr=False)
class PreTest:
    """A Wald test that all effects before the start are zero.

    Attributes
    ----------
    statistic, p_value : float
        Chi-squared with ``df`` degrees of freedom; missing where ``reason`` says why.
    df : int
        Cells tested.
    detectable_slope : float
        Steady drift of the treated against their comparison, in units of the outcome a period, that this test at 5% finds with 80% power.
    power, size : float
    reason : str or None
    """

    statistic: float
    df: int
    p_value: float
    detectable_slope: float
    power: float = POWER
    size: float = SIZE
    reason: str | None = None

    def __repr__(self) -> str:
        if self.reason:
            return f"No pre-test: {self.reason}"
        return (f"Pre-test: chi-squared({self.df}) {self.statistic:.3f}, p {self.p_value:.3f}; a drift of {self.detectable_slope:.4g} a period "
                f"would be found with {self.power:.0%} power")  # fmt: skip

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"


def pre_test(cells: Sequence[Cell], estimates: np.ndarray, moments: np.ndarray, clusters: int | None, *, window: bool = False) -> PreTest:
    """Test the cells before the start jointly; refused ones and reference periods take no part.

    Parameters
    ----------
    cells : sequence of Cell
    estimates : ndarray, shape (c,)
    moments : ndarray, shape (c or more, c or more)
        Analytic covariance, cells first; used under the bootstrap too.
    clusters : int or None
        With fewer clusters than cells the covariance is rank-short.
    window : bool
        Whether the periods of anticipation before the start are tested too. An effect is allowed there, so that by default they are not.
    """
    chosen = [n for n, cell in enumerate(cells) if cell.pre or (window and cell.time < cell.start and not cell.reference)]
    numbers = [n for n in chosen if np.isfinite(estimates[n]) and moments[n, n] > 0]
    if not numbers:
        return _none(0, "no cell before the start has an estimate with a standard error")
    values, covariance = estimates[numbers], moments[np.ix_(numbers, numbers)]
    root = np.sqrt(np.diag(covariance))
    if clusters is not None and clusters <= len(numbers):
        return _none(len(numbers), f"{clusters} clusters cannot carry a joint test of {len(numbers)} cells")
    if np.linalg.eigvalsh(covariance / np.outer(root, root))[0] < RANK_SHORT:
        return _none(len(numbers), "the covariance of the cells before the start is rank-short")
    statistic = float(values @ np.linalg.solve(covariance, values))
    drift = np.array([cells[n].time - cells[n].base for n in numbers], dtype=float)
    needed = _noncentrality(len(numbers))
    slope = float(np.sqrt(needed / (drift @ np.linalg.solve(covariance, drift))))
    return PreTest(statistic, len(numbers), float(chdtrc(len(numbers), statistic)), slope)


def _noncentrality(df: int) -> float:
    """Noncentrality at which a chi-squared test has the power."""
    return float(chndtrinc(chdtri(df, SIZE), df, 1 - POWER))


def _none(df: int, reason: str) -> PreTest:
    return PreTest(np.nan, df, np.nan, np.nan, reason=reason)
