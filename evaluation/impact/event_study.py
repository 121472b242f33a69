"""The event study: the gap between referred and comparison pupils in each half-term around the eligibility window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from evaluation.design.registered import KEY
from evaluation.errors import UnidentifiedError
from evaluation.inference import LinearFit, linear, simultaneous_band

BASE = "each pupil's absence over all sessions of the baseline"
BASELINE, FOLLOW_UP = "baseline", "follow-up"
COLUMNS = ["design", "event_time", "role", "base", "estimate", "std_error", "df", "conf_low", "conf_high", "band_low", "band_high", "pupils"]


@dataclass(frozen=True)
class EventStudyFit:
    """All half-terms of one design in one fit.

    Attributes
    ----------
    frame : DataFrame
        Rows of table ``event_study``.
    estimates : Series
        Gaps by event time, in percentage points of sessions absent.
    vcov : DataFrame
        Their joint covariance by school (CR2).
    df : Series
        Satterthwaite degrees of freedom by event time.
    roles : Series
        What each half-term is used for.
    effective_treated_schools : float
        Kish's effective number of schools with mentors, by the weight of their pupils.
    """

    frame: pd.DataFrame
    estimates: pd.Series
    vcov: pd.DataFrame
    df: pd.Series
    roles: pd.Series
    effective_treated_schools: float


def event_study(cohort: pd.DataFrame, trajectories: pd.DataFrame, match_weights: pd.DataFrame, *, design: str, confidence_level: float,
                draws: int = 9999, seed: int = 0) -> EventStudyFit:
    """Weighted gaps in absence by event half-term, each pupil's absence over all baseline sessions taken off.

    The base pools the baseline's sessions, as the estimate does: a half-term with more possible sessions counts for more, so that the
    gaps of the baseline need not average exactly zero. All half-terms are shown, those before the window too, and none of them decides
    whether the estimate is shown [Roth 2022]. The gap in the eligibility window is what pupils were chosen on: it is no target. One
    fit with every half-term's cells gives the estimates and errors of fits apart, and their covariance.

    Parameters
    ----------
    cohort, trajectories, match_weights : DataFrame
        Tables ``cohort``, ``cohort_trajectories`` and ``match_weights``.
    design : str
        Design in ``match_weights``.
    confidence_level : float
        Of the pointwise intervals (CR2 by school, Satterthwaite degrees of freedom) and of the simultaneous band, which takes the least of
        these degrees of freedom.
    draws, seed : int
        Of the band.

    Returns
    -------
    EventStudyFit
        In its frame ``design, event_time, role, base, estimate`` (percentage points of sessions *absent*, referred minus comparison;
        below zero is better), ``std_error, df, conf_low, conf_high, band_low, band_high, pupils``. A half-term that cannot be
        estimated has missing numbers.
    """
    rows = _long_rows(cohort, trajectories, match_weights, design)
    kept, fit = _fit(rows)
    times = sorted(rows["event_time"].unique())
    parts = rows.groupby("event_time").agg(role=("role", "first"), pupils=("pupil_id", "size"))
    frame = pd.DataFrame({"design": design, "event_time": times, "role": parts.loc[times, "role"].to_numpy(), "base": BASE,
                          "pupils": parts.loc[times, "pupils"].to_numpy()})
    if fit is None:
        empty = pd.Series(dtype=float)
        return EventStudyFit(frame.reindex(columns=COLUMNS), empty, pd.DataFrame(), empty, empty, 0.0)
    own = fit.frame.assign(event_time=kept).set_index("event_time")[["estimate", "std_error", "df"]]
    reach = stdtrit(own["df"], 0.5 + confidence_level / 2.0) * own["std_error"]
    vcov = pd.DataFrame(fit.vcov.to_numpy(), index=kept, columns=kept)
    band = simultaneous_band(own["estimate"], vcov, df=float(own["df"].min()), conf_level=confidence_level, draws=draws, seed=seed)
    # From one least number of degrees of freedom for all, so that at a half-term with fewer rows the band could fall inside the interval.
    half = np.maximum(band.critical * own["std_error"], reach)
    own = own.assign(conf_low=own["estimate"] - reach, conf_high=own["estimate"] + reach, band_low=own["estimate"] - half, band_high=own["estimate"] + half)
    frame = frame.merge(own, left_on="event_time", right_index=True, how="left")[COLUMNS]
    treated = rows.loc[rows["treated"] == 1].drop_duplicates(KEY).groupby("school_id")["weight"].sum()
    return EventStudyFit(frame, own["estimate"], vcov, own["df"], parts["role"], float(treated.sum() ** 2 / (treated**2).sum()))


def _long_rows(cohort: pd.DataFrame, trajectories: pd.DataFrame, match_weights: pd.DataFrame, design: str) -> pd.DataFrame:
    weights = match_weights.loc[match_weights["design"] == design, [*KEY, "treated", "weight"]]
    rows = weights.merge(cohort[[*KEY, "area_code", "school_id", "baseline_rate"]], on=KEY, validate="one_to_one")
    rows = rows.merge(trajectories, on=KEY, validate="one_to_many")
    rows = rows.loc[rows["rate"].notna()].reset_index(drop=True)
    cell = rows["stack"].astype(str) + (("|" + rows["area_code"]) if design.startswith("within_area") else "")
    return rows.assign(gap=rows["rate"] - rows["baseline_rate"], treated=rows["treated"].astype("int64"), cell=cell + "|" + rows["event_time"].astype(str))


def _fit(rows: pd.DataFrame) -> tuple[list[int], LinearFit | None]:
    """The half-terms that can be estimated, and their fit; those that cannot by themselves are left out of it."""
    times = sorted(rows["event_time"].unique())

    def fitted(wanted: list[int]) -> LinearFit:
        data = rows.loc[rows["event_time"].isin(wanted)]
        terms = {f"event {time}": data["treated"] * (data["event_time"] == time) for time in wanted}
        return linear(data.assign(**terms), "gap", list(terms), weights="weight", absorb=["cell"], cluster="school_id", kind="CR2")

    try:
        return times, fitted(times)
    except UnidentifiedError:
        kept = []
        for time in times:
            try:
                fitted([time])
            except UnidentifiedError:
                continue
            kept.append(time)
        return kept, fitted(kept) if kept else None


def event_studies(cohort: pd.DataFrame, trajectories: pd.DataFrame, match_weights: pd.DataFrame, *, confidence_level: float, draws: int = 9999,
                  seed: int = 0) -> dict[str, EventStudyFit]:
    """The event study of every design that was matched, by design. Parameters as :func:`event_study`."""
    designs = list(dict.fromkeys(match_weights["design"]))
    return {design: event_study(cohort, trajectories, match_weights, design=design, confidence_level=confidence_level, draws=draws, seed=seed)
            for design in designs}


def event_study_table(studies: dict[str, EventStudyFit]) -> pd.DataFrame:
    """Table ``event_study``."""
    return pd.concat([study.frame for study in studies.values()], ignore_index=True)
