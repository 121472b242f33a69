"""Which part of support lies in the measured follow-up, and which before or after it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.design.programmes import EVERY_AREA
from evaluation.design.windows import Windows

PARTS = ("before the follow-up", "in the follow-up", "after the follow-up")
DAYS_A_WEEK = 7


def support_timing(cohort: pd.DataFrame, referrals: pd.DataFrame, terms: pd.DataFrame, *, windows: Windows) -> pd.DataFrame:
    """Weeks of support before, in and after the measured follow-up, of analysed pupils who started.

    Parameters
    ----------
    cohort, referrals, terms : DataFrame
        Tables ``cohort``, ``referral_list`` and ``calendar_used``.
    windows : Windows

    Returns
    -------
    DataFrame
        Table ``support_timing``: ``part, pupils`` (who had support then), ``of_pupils`` (who started), ``weeks`` (mean over all who started; calendar
        weeks from the first to the last day of support), ``share`` (% of all weeks), ``open_ended`` (pupils whose support had no end yet, counted to
        the last day of the registers). The effect measures the follow-up: support before it works there through what is left of it, and
        support after it is not measured at all. Of no rows where nobody started.
    """
    first = referrals.sort_values(["referral_date", "referral_id"], kind="stable").drop_duplicates("pupil_id")
    rows = cohort.loc[cohort["started"] & cohort["analysed"] & (cohort["entry"] == "first"), ["stack", "pupil_id", "area_code", "half_terms_measured"]]
    rows = rows.merge(first[["pupil_id", "start_date", "end_date"]], on="pupil_id").dropna(subset="start_date")
    columns = ["part", "pupils", "of_pupils", "weeks", "share", "open_ended"]
    if rows.empty:
        return pd.DataFrame(columns=columns)
    calendar = rows["area_code"].where(rows["area_code"].isin(terms["area_code"]), EVERY_AREA)
    days = terms.set_index(["area_code", "half_term"])[["first_day", "last_day"]].apply(pd.to_datetime)
    opens, closes = (rows["stack"] + windows.follow_up[0], rows["stack"] + windows.follow_up[0] + rows["half_terms_measured"] - 1)
    begins = days["first_day"].reindex(pd.MultiIndex.from_arrays([calendar, opens])).to_numpy()
    ends = days["last_day"].reindex(pd.MultiIndex.from_arrays([calendar, closes])).to_numpy() + np.timedelta64(1, "D")
    start = pd.to_datetime(rows["start_date"]).to_numpy()
    stop = pd.to_datetime(rows["end_date"]).fillna(days["last_day"].max()).to_numpy() + np.timedelta64(1, "D")
    cuts = ((start, np.minimum(stop, begins)), (np.maximum(start, begins), np.minimum(stop, ends)), (np.maximum(start, ends), stop))
    weeks = [np.maximum((until - since) / np.timedelta64(DAYS_A_WEEK, "D"), 0.0) for since, until in cuts]
    total = float(np.sum(weeks))
    return pd.DataFrame([{"part": part, "pupils": int((own > 0).sum()), "of_pupils": len(rows), "weeks": float(own.mean()),
                          "share": 100.0 * float(own.sum()) / total if total > 0 else np.nan, "open_ended": int(rows["end_date"].isna().sum())}
                         for part, own in zip(PARTS, weeks, strict=True)], columns=columns)
