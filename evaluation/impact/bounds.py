"""What pupils who were lost could do to an estimate: Lee's bounds, worst-case bounds, and the tipping point.

Lee, D. (2009). Training, wages, and sample selection: estimating sharp bounds on treatment effects. Review of Economic Studies 76(3),
1071-1102. Horowitz, J. & Manski, C. (2000). Nonparametric analysis of randomized experiments with missing covariate and outcome data.
Journal of the American Statistical Association 95(449), 77-84. Imbens, G. & Manski, C. (2004). Confidence intervals for partially
identified parameters. Econometrica 72(6), 1845-1857.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError

RETAINS = "the mentored side kept more of its pupils: assumes that mentoring makes nobody leave who would otherwise have stayed"
LOSES = ("the mentored side lost more of its pupils: assumes that mentoring makes nobody stay who would otherwise have left, "
         "against what mentoring is meant to do, so these bounds deserve little trust")
EQUAL = "both arms were lost equally often, so nothing is trimmed"


@dataclass(frozen=True)
class LeeBounds:
    """Bounds on the effect among pupils who stay with or without mentoring.

    Attributes
    ----------
    lower, upper : float
        In the units of the outcome.
    std_error_lower, std_error_upper : float
        By school, from influence functions that count outcomes and both retention rates; weights are taken as known.
    conf_low, conf_high : float
        Interval that covers the effect (not the whole identified set) [Imbens and Manski 2004].
    trimmed : {"treated", "comparison", "none"}
        Arm that was lost less often, whose extreme outcomes are taken off.
    share_trimmed : float
        Of that arm's weight.
    retention_treated, retention_comparison : float
        Weighted shares.
    monotonicity : str
        The assumption, in words: it cannot be checked.
    """

    lower: float
    upper: float
    std_error_lower: float
    std_error_upper: float
    conf_low: float
    conf_high: float
    trimmed: str
    share_trimmed: float
    retention_treated: float
    retention_comparison: float
    monotonicity: str


def trimmed_mean(values: np.ndarray, weights: np.ndarray, share: float, *, keep: str) -> tuple[float, float]:
    """Weighted mean once a share of the weight is taken off one end, and the value at which it is cut.

    The row at the cut keeps part of its weight, so that exactly the share is taken: the largest (smallest) mean that any row weights between
    zero and the given ones can have whose sum is (1 - share) of theirs.

    Parameters
    ----------
    values, weights : ndarray of float, shape (n,)
        Weights above zero.
    share : float
        From 0 to below 1.
    keep : {"high", "low"}
    """
    order = np.argsort(values, kind="stable")[:: -1 if keep == "high" else 1]
    ordered, own = values[order], weights[order]
    room = (1.0 - share) * own.sum()
    kept = np.clip(room - np.concatenate([[0.0], np.cumsum(own)[:-1]]), 0.0, own)
    return float(kept @ ordered / kept.sum()), float(ordered[np.flatnonzero(kept > 0)[-1]])


def lee_bounds(rows: pd.DataFrame, entered: pd.DataFrame, *, outcome: str, confidence_level: float, df: float) -> LeeBounds:
    """Bound an effect under monotone attrition.

    Without trimming the bounds are the difference of weighted means, which is the change estimator's estimate where each cell's comparison
    weights add up to its treated weights.

    Parameters
    ----------
    rows : DataFrame
        The estimator's own rows: ``treated`` (0/1), ``weight`` (above zero), ``school_id`` and the outcome.
    entered : DataFrame
        Everyone who could have been in them: ``treated, weight, school_id, retained`` (boolean).
    outcome : str
        Higher is better.
    confidence_level : float
    df : float
        Of the t distribution whose critical values are used: the headline's.

    Raises
    ------
    UnidentifiedError
        An arm is empty, or wholly lost.
    """
    arms = {name: _arm(rows, entered, outcome, value) for name, value in (("treated", 1), ("comparison", 0))}
    kept = {name: arm.retention for name, arm in arms.items()}
    trimmed = "none" if np.isclose(kept["treated"], kept["comparison"], rtol=0, atol=1e-12) else max(kept, key=kept.get)
    share = 0.0 if trimmed == "none" else 1.0 - min(kept.values()) / kept[trimmed]
    ends = {}
    for end in ("lower", "upper"):
        highest = (end == "upper") == (trimmed != "comparison")
        ends[end] = _bound(arms, trimmed, share, "high" if highest else "low")
    (lower, se_lower), (upper, se_upper) = ends["lower"], ends["upper"]
    reach = _imbens_manski(upper - lower, max(se_lower, se_upper), confidence_level, df)
    said = {"treated": RETAINS, "comparison": LOSES, "none": EQUAL}[trimmed]
    return LeeBounds(lower, upper, se_lower, se_upper, lower - reach * se_lower, upper + reach * se_upper, trimmed, share, kept["treated"],
                     kept["comparison"], said)


@dataclass(frozen=True)
class _Arm:
    values: np.ndarray
    weights: np.ndarray
    schools: pd.Series
    retention: float
    retained_by_school: pd.Series
    """Influence of each school on the retention rate."""


def _arm(rows: pd.DataFrame, entered: pd.DataFrame, outcome: str, treated: int) -> _Arm:
    own, all_entered = rows.loc[rows["treated"] == treated], entered.loc[entered["treated"] == treated]
    word = "treated" if treated else "comparison"
    if own.empty or all_entered.empty:
        raise UnidentifiedError(f"there is no {word} pupil", where="lee_bounds", mend="see the flow")
    weight = all_entered["weight"].to_numpy(dtype=float)
    retained = all_entered["retained"].to_numpy(dtype=bool)
    rate = float(weight @ retained / weight.sum())
    if not rate > 0:
        raise UnidentifiedError(f"every {word} pupil was lost", where="lee_bounds", mend="report attrition alone: no outcome of this arm is known")
    influence = pd.Series(weight * (retained - rate) / weight.sum()).groupby(all_entered["school_id"].to_numpy()).sum()
    return _Arm(own[outcome].to_numpy(dtype=float), own["weight"].to_numpy(dtype=float), own["school_id"], rate, influence)


def _bound(arms: dict[str, _Arm], trimmed: str, share: float, keep: str) -> tuple[float, float]:
    """One bound and its standard error by school."""
    sides, influences = {}, []
    for name, arm in arms.items():
        cut = share if name == trimmed else 0.0
        mean, limit = trimmed_mean(arm.values, arm.weights, cut, keep=keep)
        sides[name] = mean
        sign = 1.0 if name == "treated" else -1.0
        beyond = np.maximum(arm.values - limit, 0.0) if keep == "high" else np.minimum(arm.values - limit, 0.0)
        each = arm.weights * (beyond - (1.0 - cut) * (mean - limit)) / (1.0 - cut) if cut else arm.weights * (arm.values - mean)
        influences.append(pd.Series(sign * each / arm.weights.sum()).groupby(arm.schools.to_numpy()).sum())
        if cut:
            # The share that is cut, 1 - other / own, is itself estimated.
            other = arms["comparison" if name == "treated" else "treated"]
            slope = sign * (mean - limit) / (1.0 - cut)
            influences.append(slope * other.retention / arm.retention**2 * arm.retained_by_school)
            influences.append(-slope / arm.retention * other.retained_by_school)
    by_school = pd.concat(influences).groupby(level=0).sum().to_numpy()
    schools = len(by_school)
    return sides["treated"] - sides["comparison"], float(np.sqrt(schools / max(schools - 1, 1) * (by_school**2).sum()))


def _imbens_manski(width: float, std_error: float, level: float, df: float) -> float:
    """Standard errors to go beyond either bound, so that an effect anywhere between them is covered at the level."""
    from scipy.optimize import brentq
    from scipy.stats import t

    most, least = float(t.ppf(0.5 + level / 2.0, df)), float(t.ppf(level, df))
    if not std_error > 0:
        return most

    def excess(reach: float) -> float:
        return float(t.cdf(reach + width / std_error, df) - t.cdf(-reach, df) - level)

    return most if width <= 0 else least if excess(least) >= 0 else float(brentq(excess, least, most))


@dataclass(frozen=True)
class WorstCase:
    """Bounds that assume nothing about pupils who were lost but that their absence lay between 0 and 100%."""

    lower: float
    upper: float
    retention_treated: float
    retention_comparison: float


def worst_case_bounds(rows: pd.DataFrame, lost: pd.DataFrame, entered: pd.DataFrame, *, outcome: str) -> WorstCase:
    """Give lost pupils the best and the worst outcomes that exist.

    Parameters
    ----------
    rows, entered : DataFrame
        As in :func:`lee_bounds`.
    lost : DataFrame
        Rows of pupils who were lost: ``treated, weight``, ``lowest`` and ``highest`` (the outcome's limits for this pupil: change in attendance
        from a known baseline absence b lies between b - 100 and b).
    outcome : str
        Higher is better.

    Raises
    ------
    DataError
        A limit is missing or turned round.
    """
    if lost[["lowest", "highest"]].isna().any().any() or (lost["lowest"] > lost["highest"]).any():
        raise DataError("a pupil who was lost has no limits of the outcome", where="columns `lowest`, `highest`", mend="give the baseline of every lost pupil")
    means, kept = {}, {}
    for arm in (1, 0):
        own, gone, everyone = rows.loc[rows["treated"] == arm], lost.loc[lost["treated"] == arm], entered.loc[entered["treated"] == arm]
        seen = float(np.average(own[outcome], weights=own["weight"]))
        kept[arm] = float(np.average(everyone["retained"], weights=everyone["weight"]))
        for end in ("lowest", "highest"):
            extreme = float(np.average(gone[end], weights=gone["weight"])) if len(gone) else 0.0
            means[arm, end] = kept[arm] * seen + (1.0 - kept[arm]) * extreme
    return WorstCase(means[1, "lowest"] - means[0, "highest"], means[1, "highest"] - means[0, "lowest"], kept[1], kept[0])


def tipping_point(value: float, retention_treated: float) -> float:
    """How much worse lost pupils with a mentor must have changed than those observed, for a value to fall to zero.

    With treated retention r, and lost comparison pupils changing as those observed do, the effect over everyone who entered is
    value - (1 - r) d when lost treated pupils changed by d less; it is zero at d = value / (1 - r).

    Parameters
    ----------
    value : float
        The estimate, or the lower end of its interval.
    retention_treated : float

    Returns
    -------
    float
        In the units of the value; infinite where nobody was lost, 0 where the value is not above zero.
    """
    if value <= 0:
        return 0.0
    return float("inf") if retention_treated >= 1.0 else value / (1.0 - retention_treated)
