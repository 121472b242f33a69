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
    one = np.ones(len(frame))
    rows = []
    for name in frame.columns:
        x = frame[name].to_numpy()
        binary = bool(np.isin(x, (0.0, 1.0)).all())
        sd = np.sqrt(_variance(x[treated], one[treated], binary))
        means = {(arm, after): np.average(x[inside], weights=w[inside])
                 for arm, inside in (("t", treated), ("c", ~treated)) for after, w in ((False, one), (True, weight))}
        rows.append({
            "covariate": name,
            "mean_treated": means["t", True],
            "mean_comparison": means["c", True],
            "mean_comparison_before": means["c", False],
            "smd_before": _ratio(means["t", False] - means["c", False], sd),
            "smd_after": _ratio(means["t", True] - means["c", True], sd),
            "variance_ratio_before": np.nan if binary else _variance_ratio(x, treated, one),
            "variance_ratio": np.nan if binary else _variance_ratio(x, treated, weight),
            "ks_before": _kolmogorov_smirnov(x, treated, one),
            "ks": _kolmogorov_smirnov(x, treated, weight),
        })
    return Balance(pd.DataFrame(rows))


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


def _variance_ratio(x: np.ndarray, treated: np.ndarray, w: np.ndarray) -> float:
    return _ratio(_variance(x[treated], w[treated], False), _variance(x[~treated], w[~treated], False))


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else np.nan


def _kolmogorov_smirnov(x: np.ndarray, treated: np.ndarray, w: np.ndarray) -> float:
    """Largest distance between the weighted distribution functions, over the distinct values."""
    values, place = np.unique(x, return_inverse=True)
    step = np.bincount(place, np.where(treated, w / w[treated].sum(), -w / w[~treated].sum()), minlength=len(values))
    return float(np.abs(np.cumsum(step)).max())
