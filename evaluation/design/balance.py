"""Balance: how alike the arms are on each covariate, before and after matching or weighting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.covariates import numeric_columns, treatment_indicator
from evaluation.design.distributions import largest_gaps
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
    parts = {(arm, after): _part(inside, weight if after else None) for arm, inside in (("t", treated), ("c", ~treated)) for after in (False, True)}
    return Balance(pd.DataFrame([_line(name, frame[name].to_numpy(), parts) for name in frame.columns]))


def pupils_with(data: pd.DataFrame, covariates: Sequence[str], groups: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """How many rows of each group have each characteristic: the counts behind a balance table's shares.

    Parameters
    ----------
    data : DataFrame
        One row a unit.
    covariates : sequence of str
        As in :func:`balance`.
    groups : mapping
        By name, a bool array of the rows inside.

    Returns
    -------
    DataFrame
        By covariate as :func:`balance` names it: ``trait`` (the column that it is a level of) and ``<group>_with``, missing for measures.
    """
    frame = numeric_columns(data, covariates, drop_first=False)
    lines = {}
    for name in frame.columns:
        x = frame[name].to_numpy()
        binary = bool(((x == 0.0) | (x == 1.0)).all())
        trait = max((c for c in covariates if name == c or name.startswith(f"{c}_")), key=len)
        lines[name] = {"trait": trait, **{f"{group}_with": int(x[inside].sum()) if binary else None for group, inside in groups.items()}}
    return pd.DataFrame.from_dict(lines, orient="index").astype({f"{group}_with": "Int64" for group in groups})


def _part(inside: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Rows of an arm that count, their shares of its weight (None: all alike), and the shares of all rows, 0 outside."""
    if weight is None:
        return np.flatnonzero(inside), None, inside / np.count_nonzero(inside)
    own = np.where(inside, weight, 0.0)
    whole = own / own.sum()
    rows = np.flatnonzero(own)
    return rows, whole[rows], whole


def _line(name: str, x: np.ndarray, parts: dict) -> dict:
    """One row of the table: every figure before and after."""
    binary = bool(((x == 0.0) | (x == 1.0)).all())
    mean, variance = {}, {}
    for key, (rows, share, whole) in parts.items():
        values = None if binary else x[rows]
        mean[key] = float(_dot(whole, x) if binary else values.mean() if share is None else _dot(share, values))
        variance[key] = mean[key] * (1.0 - mean[key]) if binary else _variance(values, share, mean[key])
    sd = np.sqrt(variance["t", False])
    difference = {after: mean["t", after] - mean["c", after] for after in (False, True)}
    ratio = {after: np.nan if binary else _ratio(variance["t", after], variance["c", after]) for after in (False, True)}
    if binary:
        ks = {after: abs(gap) for after, gap in difference.items()}
    else:
        ks = dict(zip((False, True), largest_gaps(x, [(parts["t", after][2], parts["c", after][2]) for after in (False, True)]), strict=True))
    return {
        "covariate": name,
        "mean_treated": mean["t", True],
        "mean_comparison": mean["c", True],
        "mean_comparison_before": mean["c", False],
        "smd_before": _ratio(difference[False], sd),
        "smd_after": _ratio(difference[True], sd),
        "variance_ratio_before": ratio[False],
        "variance_ratio": ratio[True],
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


def _variance(x: np.ndarray, share: np.ndarray | None, mean: float) -> float:
    """Weighted variance; for equal weights the usual n - 1 form."""
    from_mean = x - mean
    spread = 1.0 - (1.0 / len(x) if share is None else _dot(share, share))
    if spread <= 1e-12:  # one unit, or one that has all the weight
        return np.nan
    from_mean *= from_mean
    return float(from_mean.mean() if share is None else _dot(share, from_mean)) / spread


def _dot(one: np.ndarray, other: np.ndarray) -> float:
    """Sum of products in one thread: the several threads of ``@`` wait for one another on a busy machine."""
    return float(np.einsum("i,i->", one, other))


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else np.nan
