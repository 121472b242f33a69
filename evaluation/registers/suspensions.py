"""Suspensions as they were reported, beside the sessions that the registers mark as suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lists import half_terms_on

if TYPE_CHECKING:
    import pandas as pd


def suspension_counts(suspensions: pd.DataFrame, panel: pd.DataFrame, calendars: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Suspensions by pupil and half-term.

    Parameters
    ----------
    suspensions : DataFrame
        Accepted rows of the extract table.
    panel, terms : DataFrame
        Tables ``panel`` and ``calendar_used``.
    calendars : DataFrame
        ``school_id, area_code, calendar``.

    Returns
    -------
    DataFrame
        Table ``suspension_counts``: a row for each pupil and half-term with a suspension, a permanent exclusion or a session
        marked E. A suspension counts in the half-term in which it began, so its sessions and the register's may fall into
        two half-terms. ``sessions_marked`` is missing where the registers give no codes.
    """
    own = suspensions["school_id"].map(calendars.set_index("school_id")["calendar"])
    told = suspensions.assign(half_term=half_terms_on(suspensions["start_date"], own, terms)).dropna(subset=["half_term"])
    told = told.assign(suspension=told["kind"].eq("suspension"), exclusion=told["kind"].eq("permanent exclusion"))
    reported = told.astype({"half_term": "int64"}).groupby(["pupil_id", "half_term"], as_index=False).agg(
        suspensions=("suspension", "sum"), permanent_exclusions=("exclusion", "sum"), sessions_reported=("sessions", "sum"))
    marked = panel.loc[panel["sessions_suspended"].fillna(0) > 0, ["pupil_id", "half_term", "sessions_suspended"]]
    table = reported.merge(marked.rename(columns={"sessions_suspended": "sessions_marked"}), on=["pupil_id", "half_term"], how="outer")
    counts = ["suspensions", "permanent_exclusions", "sessions_reported"]
    table[counts] = table[counts].fillna(0).astype("int64")
    table["sessions_marked"] = table["sessions_marked"].astype("Int64")
    if panel["sessions_suspended"].notna().all():
        table["sessions_marked"] = table["sessions_marked"].fillna(0)
    return table[["pupil_id", "half_term", *counts, "sessions_marked"]]
