"""Estimate against truth: for simulated data only, what mentoring really did to the pupils who were analysed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.change import SESSIONS_A_DAY
from evaluation.impact.estimates import DAYS, POINTS, Estimated

COLUMNS = ["estimate_id", "estimand", "level", "design", "method", "scale", "estimate", "conf_low", "conf_high", "truth", "covered", "pupils"]


def truth_comparison(found: list[Estimated], estimates: pd.DataFrame, truth: pd.DataFrame | None, *, trajectories: pd.DataFrame) -> pd.DataFrame:
    """Set every estimate beside the true effect on the same pupils over the same follow-up.

    An interval that does not end on a side holds everything there. The truth of an estimate is the weighted mean, over its treated pupils (over those who started, for the level "started"; over
    those referred by the end of the follow-up, for the offer divided by the share referred), of attendance in the measured
    follow-up with mentoring minus without, from the same random numbers: in points of each pupil's possible sessions, and in days, half
    the sessions that mentoring saved the pupil.

    Parameters
    ----------
    found : list of Estimated
    estimates : DataFrame
        Table ``estimates``.
    truth : DataFrame or None
        ``pupil_id, half_term, possible, absent, possible_untreated, absent_untreated``; None when data are not simulated.
    trajectories : DataFrame
        Table ``cohort_trajectories``: which half-terms were measured.

    Returns
    -------
    DataFrame
        Table ``truth_comparison``; of no rows without a truth.
    """
    if truth is None:
        return pd.DataFrame(columns=COLUMNS)
    lines = []
    for item in found:
        pupils = item.about
        effect = true_effects(pupils, truth, trajectories=trajectories)
        for scale, word in ((POINTS, "points"), (DAYS, "days")):
            row = estimates.loc[estimates["estimate_id"] == f"{item.comparison.key}_{word}"].iloc[0]
            value = float(np.average(effect[word], weights=pupils["weight"]))
            lines.append({**{name: row[name] for name in COLUMNS if name in row.index}, "truth": value,
                          "covered": not (value < row["conf_low"] or value > row["conf_high"]), "pupils": len(pupils)})
    return pd.DataFrame(lines, columns=COLUMNS)


def true_effects(pupils: pd.DataFrame, truth: pd.DataFrame, *, trajectories: pd.DataFrame) -> pd.DataFrame:
    """Each pupil's true effect on attendance over the measured follow-up, a row a pupil in the order given.

    Parameters
    ----------
    pupils : DataFrame
        ``stack, pupil_id``.
    truth, trajectories : DataFrame
        As in :func:`truth_comparison`.

    Returns
    -------
    DataFrame
        ``points`` (percentage points of sessions), ``days``.

    Raises
    ------
    DataError
        A pupil's measured half-term is not in the truth, so that it belongs to other data.
    """
    measured = trajectories.loc[trajectories["role"].eq("follow-up") & (trajectories["possible"] > 0), ["stack", "pupil_id", "half_term"]]
    rows = pupils[["stack", "pupil_id"]].reset_index(drop=True).rename_axis("row").reset_index().merge(measured, on=["stack", "pupil_id"], how="left")
    joined = rows.merge(truth, on=["pupil_id", "half_term"], how="left")
    counts = ["possible", "absent", "possible_untreated", "absent_untreated"]
    if joined[counts].isna().any().any():
        raise DataError("an analysed pupil has no sessions in the truth", where="truth", mend="use the truth of the same simulation")
    sums = joined.groupby("row")[counts].sum()
    with_mentor = 100.0 * sums["absent"] / sums["possible"]
    without = 100.0 * sums["absent_untreated"] / sums["possible_untreated"]
    days = (sums["absent_untreated"] - sums["absent"]) / SESSIONS_A_DAY
    return pd.DataFrame({"points": without - with_mentor, "days": days}).reset_index(drop=True)
