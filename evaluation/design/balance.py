"""Balance: how alike the arms are on each covariate, before and after matching or weighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.covariates import numeric_columns, treatment_indicator
from evaluation.errors import DataError, UnidentifiedError

STANDARDISED_BY = "standard deviation of the treated group before adjustment"
"""What standardises every difference, binary covariates included; printed with the table."""


@dataclass(frozen=True)
class Balance:
    """A balance table.

    Attributes
    ----------
    frame : DataFrame
        One row a covariate (a row for each level of a category): ``covariate, mean_treated, mean_comparison``
        (weighted), ``mean_comparison_before`` (unweighted), ``smd_before, smd_after`` (standardised mean
        differences, treated minus comparison), ``variance_ratio_before, variance_ratio`` (treated over
        comparison; missing for 0/1 covariates), ``ks_before, ks`` (largest distance between the two
        distribution functions).
    standardised_by : str
        Which standard deviation standardises.
    """

    frame: pd.DataFrame
    standardised_by: str = STANDARDISED_BY

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False)


def balance(data: pd.DataFrame, treatment: str, covariates: Sequence[str], weights: pd.Series | None = None) -> Balance:
    """Compare the arms on each covariate before and after weighting.

    Standardised differences divide by the treated group's standard deviation before adjustment, for continuous
    and 0/1 covariates alike, so that weighting cannot change the yardstick [Austin 2009; Stuart 2010]. The
    conventions are those of the R package cobalt with ``s.d.denom = "treated", binary = "std"``: a 0/1
    covariate's standard deviation is sqrt(p(1 - p)), a continuous one's has denominator n - 1.

    Parameters
    ----------
    data : DataFrame
        One row a unit.
    treatment : str
        0/1 column.
    covariates : sequence of str
        Numeric, boolean or categorical columns.
    weights : Series, optional
        On ``data``'s index, finite and not negative; 0 leaves a unit out. None: after equals before.

    Raises
    ------
    DataError
        A covariate or weight is missing or not finite, or a weight is negative.
    UnidentifiedError
        An arm has no unit, or none with a positive weight.
    """
    treated = treatment_indicator(data, treatment)
    frame = numeric_columns(data, covariates, drop_first=False)
    weight = _checked(weights, data)
    for arm, inside in (("treated", treated), ("comparison", ~treated)):
        if not (weight[inside] > 0).any():
            raise UnidentifiedError(f"the {arm} arm has no unit with a positive weight", where=f"column `{treatment}`",
                                    mend="see the flow and the unmatched table for where the arm was lost")
    return Balance(pd.DataFrame([_line(name, frame[name].to_numpy(), treated, weight) for name in frame.columns]))


def _line(name: str, x: np.ndarray, treated: np.ndarray, weight: np.ndarray) -> dict:
    """One row of the table: every figure before and after."""
    arms = {arm: (x[inside], weight[inside]) for arm, inside in (("t", treated), ("c", ~treated))}
    even = {arm: np.ones(len(values)) for arm, (values, _) in arms.items()}
    binary = bool(((x == 0.0) | (x == 1.0)).all())
    mean = {(arm, after): np.average(values, weights=w if after else even[arm]) for arm, (values, w) in arms.items() for after in (False, True)}
    variance = {(arm, after): np.nan if binary else _variance(values, w if after else even[arm], False)
                for arm, (values, w) in arms.items() for after in (False, True)}
    sd = np.sqrt(_variance(arms["t"][0], even["t"], binary))
    difference = {after: mean["t", after] - mean["c", after] for after in (False, True)}
    ks = {after: abs(difference[after]) if binary else _kolmogorov_smirnov(arms["t"], arms["c"], after) for after in (False, True)}
    return {
        "covariate": name,
        "mean_treated": mean["t", True],
        "mean_comparison": mean["c", True],
        "mean_comparison_before": mean["c", False],
        "smd_before": _ratio(difference[False], sd),
        "smd_after": _ratio(difference[True], sd),
        "variance_ratio_before": _ratio(variance["t", False], variance["c", False]),
        "variance_ratio": _ratio(variance["t", True], variance["c", True]),
        "ks_before": float(ks[False]),
        "ks": float(ks[True]),
    }


def effective_sample_size(weights: np.ndarray | pd.Series) -> float:
    """Kish's effective number of units, (sum w)^2 / sum w^2; 0 when all weights are 0."""
    w = np.asarray(weights, dtype=float)
    return float(w.sum() ** 2 / (w**2).sum()) if (w > 0).any() else 0.0


def _checked(weights: pd.Series | None, data: pd.DataFrame) -> np.ndarray:
    if weights is None:
        return np.ones(len(data))
    if len(weights) != len(data) or not pd.Index(weights.index).equals(data.index):
        raise DataError("the weights do not stand on the data's index", where="weights", mend="give a Series with the data's index")
    values = weights.to_numpy(dtype=float)
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError("weights must be finite and not negative", where="weights", mend="correct or drop these rows")
    return values


def _variance(x: np.ndarray, w: np.ndarray, binary: bool) -> float:
    """Weighted variance; for equal weights the usual n - 1 form, p(1 - p) for 0/1 values."""
    share = w / w.sum()
    mean = float(share @ x)
    if binary:
        return mean * (1.0 - mean)
    spread = 1.0 - float(share @ share)
    return float(share @ (x - mean) ** 2) / spread if spread > 0 else np.nan


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else np.nan


def _kolmogorov_smirnov(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], weighted: bool) -> float:
    """Largest distance between the distribution functions of two arms, each (values, weights).

    Between two neighbouring values of the smaller arm its own function stands still and the other only rises, so that the distance
    is largest at one of the smaller arm's values or just below it: the larger arm is looked up there alone.
    """
    smaller, larger = (one, other) if len(one[0]) <= len(other[0]) else (other, one)
    (points, heights), (values, totals) = (_distribution(x, w if weighted else None) for x, w in (smaller, larger))
    gap = 0.0
    for side in ("left", "right"):  # just below each value, and at it
        own = _at(heights, np.searchsorted(points, points, side))
        gap = max(gap, float(np.abs(own - _at(totals, np.searchsorted(values, points, side))).max()))
    return gap


def _distribution(x: np.ndarray, w: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | int]:
    """Sorted values with their share of the arm up to each; without weights only how many there are."""
    if w is None:
        return np.sort(x), len(x)
    kept = w > 0
    x, w = (x, w) if kept.all() else (x[kept], w[kept])
    order = np.argsort(x)
    share = np.cumsum(w[order])
    return x[order], share / share[-1]


def _at(shares: np.ndarray | int, place: np.ndarray) -> np.ndarray:
    """The distribution function from how many values are to the left."""
    if isinstance(shares, int):
        return place / shares
    return np.where(place > 0, shares[place - 1], 0.0)
