"""The event study: the gap between referred and comparison pupils in each half-term around the eligibility window."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.inference import linear

BASE = "each pupil's absence over all sessions of the baseline"


def event_study(cohort: pd.DataFrame, trajectories: pd.DataFrame, match_weights: pd.DataFrame, *, design: str, confidence_level: float) -> pd.DataFrame:
    """Weighted gaps in absence by event half-term, each pupil's absence over all baseline sessions taken off.

    The base pools the baseline's sessions, as the estimate does: a half-term with more possible sessions counts for more, so that the
    gaps of the baseline need not average exactly zero. All half-terms are shown, those before the window too, and none of them decides whether the estimate is shown
    [Roth 2022]. The gap in the eligibility window is what pupils were chosen on: it is no target.

    Parameters
    ----------
    cohort, trajectories, match_weights : DataFrame
        Tables ``cohort``, ``cohort_trajectories`` and ``match_weights``.
    design : str
        Design in ``match_weights``.
    confidence_level : float
        Of the pointwise intervals (CR2 by school, Satterthwaite degrees of freedom).

    Returns
    -------
    DataFrame
        ``design, event_time, role, base, estimate`` (percentage points of sessions *absent*, referred minus comparison;
        below zero is better), ``std_error, df, conf_low, conf_high, pupils``. A half-term that cannot be estimated has a
        missing estimate.
    """
    from scipy.stats import t

    weights = match_weights.loc[match_weights["design"] == design, ["stack", "pupil_id", "treated", "weight"]]
    rows = weights.merge(cohort[["stack", "pupil_id", "area_code", "school_id", "baseline_rate"]], on=["stack", "pupil_id"], validate="one_to_one")
    rows = rows.merge(trajectories, on=["stack", "pupil_id"], validate="one_to_many")
    rows = rows.loc[rows["rate"].notna()]
    rows = rows.assign(gap=rows["rate"] - rows["baseline_rate"], treated=rows["treated"].astype("int64"),
                       cell=rows["stack"].astype(str) + (("|" + rows["area_code"]) if design.startswith("within_area") else ""))
    lines = []
    for event_time, part in rows.groupby("event_time"):
        line = {"design": design, "event_time": int(event_time), "role": part["role"].iloc[0], "base": BASE, "pupils": len(part)}
        try:
            fit = linear(part.reset_index(drop=True), "gap", ["treated"], weights="weight", absorb=["cell"], cluster="school_id", kind="CR2")
            term = fit.frame.set_index("term").loc["treated"]
            reach = t.ppf(0.5 + confidence_level / 2.0, term["df"]) * term["std_error"]
            line |= {"estimate": term["estimate"], "std_error": term["std_error"], "df": term["df"],
                     "conf_low": term["estimate"] - reach, "conf_high": term["estimate"] + reach}
        except UnidentifiedError:
            line |= dict.fromkeys(("estimate", "std_error", "df", "conf_low", "conf_high"), np.nan)
        lines.append(line)
    columns = ["design", "event_time", "role", "base", "estimate", "std_error", "df", "conf_low", "conf_high", "pupils"]
    return pd.DataFrame(lines, columns=columns)


def event_studies(cohort: pd.DataFrame, trajectories: pd.DataFrame, match_weights: pd.DataFrame, *, confidence_level: float) -> pd.DataFrame:
    """The event study of every design that was matched: table ``event_study``. Parameters as :func:`event_study`."""
    designs = list(dict.fromkeys(match_weights["design"]))
    return pd.concat([event_study(cohort, trajectories, match_weights, design=design, confidence_level=confidence_level) for design in designs],
                     ignore_index=True)
