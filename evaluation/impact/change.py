"""The change estimator: follow-up minus baseline, one row a stack and pupil, compared inside stacks.

With baseline and follow-up symmetric around the eligibility window, pupils who were chosen for a bad window regress by the
same amount on either side of it, so that their change is free of it; season-matched windows take out the time of year
[Chabe-Ferret 2017; Daw and Hatfield 2018]. Comparison pupils are weighted to the treated count of their stack, which makes
the corrective weights of stacked designs automatic [Wing, Freedman and Hollingsworth 2024].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from evaluation.design.balance import effective_sample_size
from evaluation.errors import UnidentifiedError
from evaluation.inference import LinearFit, linear

SESSIONS_A_DAY = 2


@dataclass(frozen=True)
class ChangeEstimate:
    """What one comparison says; of the primary outcome, in percentage points of sessions *attended*: positive is better.

    Attributes
    ----------
    estimate, std_error, df : float
        Effect, its standard error by school (CR2) and Satterthwaite degrees of freedom.
    change_treated, change_comparison : float
        Weighted mean change of either arm, with the sign of the estimate: what happened, and what would have happened anyway.
    followup_sessions : float
        Mean possible sessions of treated pupils in the measured follow-up.
    n_treated, n_comparison, schools_treated, schools_comparison, areas, areas_treated, areas_comparison : int
        Rows with a positive weight, and where they are.
    effective_n : float
        Kish's effective number of comparison pupils.
    left_out : int
        Treated rows in cells without a comparison pupil.
    rows : DataFrame
        The rows used, with ``treated``, ``weight`` and ``cell`` (stack, or area and stack).
    outcome : str
        Column of the change.
    sign : int
        -1 where a change in absence is turned into one in attendance, else 1.
    fit : LinearFit
        Of the outcome as it stands, before the sign.
    warnings : tuple of str
    """

    estimate: float
    std_error: float
    df: float
    change_treated: float
    change_comparison: float
    followup_sessions: float
    n_treated: int
    n_comparison: int
    schools_treated: int
    schools_comparison: int
    areas: int
    areas_treated: int
    areas_comparison: int
    effective_n: float
    left_out: int
    rows: pd.DataFrame
    outcome: str
    sign: int
    fit: LinearFit
    warnings: tuple[str, ...]


def estimate_change(rows: pd.DataFrame, *, within_area: bool, weight: str | None = None, outcome: str = "change", sign: int = -1,
                    scale: bool | None = None) -> ChangeEstimate:
    """Weighted least squares of change on treated and stack effects, with CR2 standard errors by school.

    Parameters
    ----------
    rows : DataFrame
        One row a stack and pupil: ``treated`` (0/1), ``stack, area_code, school_id, followup_possible`` and the outcome, as a rule
        a change in the *absence* rate in percentage points.
    within_area : bool
        Area-by-stack effects, else stack effects alone.
    weight : str, optional
        Column of weights, for example from matching. None: treated 1, comparison pupils weighted to the treated count of
        their stack (and area), so that the estimate is about the treated.
    outcome : str
    sign : {-1, 1}
        -1 turns a change in absence into one in attendance.
    scale : bool, optional
        Whether comparison weights are scaled to the treated weight of their stack (and area). As a rule they are where no weights are
        given, and are taken as they stand where some are.

    Returns
    -------
    ChangeEstimate

    Raises
    ------
    UnidentifiedError
        No cell holds both arms, or the treated are in one school.
    """
    data = rows.copy()
    data["cell"] = data["stack"].astype(str) + (("|" + data["area_code"].astype(str)) if within_area else "")
    treated = data["treated"].to_numpy() == 1
    given = np.ones(len(data)) if weight is None else data[weight].to_numpy(dtype=float)
    totals = pd.DataFrame({"cell": data["cell"], "t": given * treated, "c": given * ~treated}).groupby("cell").transform("sum")
    both = (totals["t"].to_numpy() > 0) & (totals["c"].to_numpy() > 0)
    scaled = weight is None if scale is None else scale
    factor = np.divide(totals["t"].to_numpy(), totals["c"].to_numpy(), out=np.zeros(len(data)), where=both) if scaled else 1.0
    data["weight"] = np.where(both, given * np.where(treated, 1.0, factor), 0.0)
    left_out = int((treated & (given > 0) & ~both).sum())
    used = data.loc[data["weight"] > 0].reset_index(drop=True)
    if used.empty:
        raise UnidentifiedError("no stack holds treated and comparison pupils together", where="estimate_change",
                                mend="see the flow and the unmatched table")
    arm = used["treated"] == 1
    if used.loc[arm, "school_id"].nunique() < 2:
        raise UnidentifiedError("all treated pupils are in one school: its own shocks cannot be told apart from the effect",
                                where="estimate_change", mend="report it descriptively, or add schools")
    fit = linear(used, outcome, ["treated"], weights="weight", absorb=["cell"], cluster="school_id", kind="CR2")
    term = fit.frame.set_index("term").loc["treated"]
    mean = {side: float(np.average(used.loc[inside, outcome], weights=used.loc[inside, "weight"])) for side, inside in (("t", arm), ("c", ~arm))}
    return ChangeEstimate(
        estimate=sign * float(term["estimate"]), std_error=float(term["std_error"]), df=float(term["df"]),
        change_treated=sign * mean["t"], change_comparison=sign * mean["c"],
        followup_sessions=float(np.average(used.loc[arm, "followup_possible"], weights=used.loc[arm, "weight"])),
        n_treated=int(arm.sum()), n_comparison=int((~arm).sum()), schools_treated=used.loc[arm, "school_id"].nunique(),
        schools_comparison=used.loc[~arm, "school_id"].nunique(), areas=used["area_code"].nunique(),
        areas_treated=used.loc[arm, "area_code"].nunique(), areas_comparison=used.loc[~arm, "area_code"].nunique(),
        effective_n=effective_sample_size(used.loc[~arm, "weight"]), left_out=left_out, rows=used, outcome=outcome, sign=sign, fit=fit,
        warnings=fit.warnings)


def days_over_window(points: float, followup_sessions: float) -> float:
    """Percentage points of sessions as days over the measured follow-up; never a year's days.

    Parameters
    ----------
    points : float
        Percentage points of sessions.
    followup_sessions : float
        Mean possible sessions in the measured follow-up.
    """
    return points / 100.0 * followup_sessions / SESSIONS_A_DAY


def smallest_detectable_effect(std_error: float, df: float, *, confidence_level: float, power: float) -> float:
    """The effect that a two-sided test would detect with the given power [Bloom 1995].

    Parameters
    ----------
    std_error, df : float
        Of the estimate.
    confidence_level, power : float
        Shares, for example 0.95 and 0.8.

    Returns
    -------
    float
        In the units of the standard error.
    """
    return float((stdtrit(df, 0.5 + confidence_level / 2.0) + stdtrit(df, power)) * std_error)
