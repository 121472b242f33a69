"""Covariance of two-way estimates with the small-sample factors of the R package fixest, and joint tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.two_way_panel import Panel
from evaluation.impact.two_way_solve import Solution
from evaluation.inference.wald import WaldTest, wald_test

CLUSTERED = ("CR1", "CR0")
UNCLUSTERED = ("iid", "HC1")


def covariance(solution: Solution, panel: Panel, kind: str) -> tuple[np.ndarray, float]:
    """Covariance of the terms, shape (k, k), and degrees of freedom.

    CR1 is CR0 times G / (G - 1) times (n - 1) / (n - K), where K counts the terms and every period's effect, but no unit's: unit effects are
    nested in clusters (fixest's default, "nonnested"). iid and HC1 count unit effects too. Clusters carry G - 1 degrees of freedom,
    otherwise n - K. Weights are those of analysis, not counts of rows.

    Parameters
    ----------
    solution : Solution
    panel : Panel
        As it was before rows were compressed.
    kind : {"CR1", "CR0", "iid", "HC1"}

    Raises
    ------
    UnidentifiedError
        There are as many parameters as rows.
    """
    n, terms = len(panel.units), len(solution.estimates)
    nested = kind in CLUSTERED
    periods = int((np.bincount(panel.times) > 0).sum())
    parameters = terms + periods + (0 if nested else panel.count - 1)
    if n <= parameters:
        raise UnidentifiedError(f"{n:,} rows cannot carry {parameters:,} parameters", mend="use fewer terms, or more rows.")
    combine = solution.combine
    if nested:
        count = len(solution.scores)
        factor = count / (count - 1) * (n - 1) / (n - parameters) if kind == "CR1" else 1.0
        return factor * combine.T @ (solution.scores.T @ solution.scores) @ combine, count - 1.0
    if kind == "HC1":
        return n / (n - parameters) * combine.T @ solution.row_scores @ combine, float(n - parameters)
    return solution.squares / (n - parameters) * combine.T @ combine, float(n - parameters)


def joint_test(estimates: pd.Series, vcov: pd.DataFrame, df: float, terms: Sequence[str]) -> WaldTest:
    """F test that several effects are zero together, with the covariance's degrees of freedom (fixest's ``wald``).

    Raises
    ------
    DataError
        A term is not known or none is named.
    UnidentifiedError
        The covariance of the terms is missing or singular: more terms than clusters can tell apart.
    """
    terms = [terms] if isinstance(terms, str) else list(terms)
    unknown = [name for name in terms if name not in estimates.index]
    if unknown or not terms:
        raise DataError(f"{', '.join(map(str, unknown)) or 'no term'} cannot be tested", where="terms",
                        mend=f"name some of {', '.join(estimates.index)}.")  # fmt: skip
    matrix = vcov.loc[terms, terms].to_numpy()
    if np.isnan(matrix).any():
        raise UnidentifiedError("a term has no standard error", where=f"terms {', '.join(terms)}", mend="test the others.")
    found = wald_test(terms, estimates[terms].to_numpy(), matrix, df=df)
    return replace(found, method=f"F with {df:g} degrees of freedom below")
