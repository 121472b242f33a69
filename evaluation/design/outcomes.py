"""Outcomes of the cohort: whole-number counts of every registered outcome in baseline, eligibility window and follow-up.

Each measure is 100 times a count over what it is counted of, so that all are in percentage points and follow from whole
numbers. The primary outcome is harmonised across 19 August 2024, when the codes changed: interviews attend on both sides, and
leave is one class. What moved with the change, or could hide as attendance, is measured beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.cohort import Cohort
from evaluation.design.grid import ELIGIBILITY_RULES, lay_out
from evaluation.design.windows import Windows
from evaluation.errors import ParameterError

KEY = ["stack", "pupil_id"]
PART_TIME_FROM = "2024/25"
"""Academic year from which part-time timetables have a code of their own (C2, from 19 August 2024)."""

OPEN, POSSIBLE = "sessions the school was open", "possible sessions"


@dataclass(frozen=True)
class Outcome:
    """One outcome.

    Attributes
    ----------
    title : str
    role : str
        "primary", "secondary", "harm", "negative control" (mentoring cannot plausibly move it) or "sensitivity".
    better : str
        "lower", "higher" or "neither".
    of : str
        What the count is a share of.
    count : tuple of str
        Columns of the panel that are added up; a minus takes one away.
    whole : str
        Column of the panel that is the whole.
    rule : str, optional
        Rule on count and whole over the window; the outcome is then whether a pupil meets it.
    post_only : bool
        Not recorded before 19 August 2024: follow-up values are compared, not changes.
    """

    title: str
    role: str
    better: str
    of: str
    count: tuple[str, ...]
    whole: str = "harmonised_possible"
    rule: str | None = None
    post_only: bool = False


OUTCOMES = {
    "absence_rate": Outcome("Absence, harmonised", "primary", "lower", POSSIBLE, ("harmonised_absent",)),
    "absence_rate_official": Outcome("Absence, official classes of each date", "sensitivity", "lower", POSSIBLE,
                                     ("sessions_authorised", "sessions_unauthorised"), "sessions_possible"),
    "absence_rate_off_site_absent": Outcome("Absence, with education off site counted as absent (a bound)", "sensitivity", "lower", POSSIBLE,
                                            ("harmonised_absent", "sessions_off_site")),
    "persistent_absence": Outcome("Persistent absence over the window (a tenth or more)", "secondary", "lower", "pupils", ("harmonised_absent",),
                                  rule="persistent_absence"),
    "severe_absence": Outcome("Severe absence over the window (half or more)", "secondary", "lower", "pupils", ("harmonised_absent",), rule="severe_absence"),
    "unauthorised_rate": Outcome("Unauthorised absence", "secondary", "lower", POSSIBLE, ("sessions_unauthorised",)),
    "lateness_rate": Outcome("Late before the register closed", "secondary", "lower", POSSIBLE, ("sessions_late",)),
    "suspension_sessions": Outcome("Sessions suspended or excluded", "harm", "lower", POSSIBLE, ("sessions_suspended",)),
    "part_time_timetable_rate": Outcome("Part-time timetable", "harm", "lower", POSSIBLE, ("sessions_c2",), post_only=True),
    "medical_rate": Outcome("Medical and dental appointments", "negative control", "neither", POSSIBLE, ("sessions_medical",)),
    "illness_rate": Outcome("Illness", "sensitivity", "lower", POSSIBLE, ("sessions_illness",)),
    "attended_of_open": Outcome("Sessions attended of those the school was open", "sensitivity", "higher", OPEN,
                                ("harmonised_possible", "-harmonised_absent"), "sessions_open"),
    "possible_of_open": Outcome("Possible sessions of those the school was open", "harm", "higher", OPEN, ("harmonised_possible",), "sessions_open"),
}  # fmt: skip
"""Every outcome by name. Medical appointments are the negative control [Lipsitch, Tchetgen Tchetgen and Cohen 2010]; illness is
none, because a pupil who stays away is often recorded as ill. A window's persistent absence is not the annual measure."""

COLUMNS = [*KEY, "outcome", "baseline_count", "baseline_of", "window_count", "window_of", "followup_count", "followup_of"]


def measure_outcomes(cohort: Cohort, panel: pd.DataFrame, *, windows: Windows) -> pd.DataFrame:
    """Count every outcome of every analysed row of the cohort.

    Parameters
    ----------
    cohort : Cohort
    panel : DataFrame
        Table ``panel``, the one that the cohort was built from.
    windows : Windows

    Returns
    -------
    DataFrame
        Table ``cohort_outcomes``: ``stack, pupil_id, outcome`` and whole numbers ``baseline_count, baseline_of, window_count, window_of,
        followup_count, followup_of``. Half-terms that Year 11 loses are left out at both ends, as in the cohort. An outcome
        whose codes the panel does not hold (totals in place of marks) has no rows; half-terms before a code existed have a whole of 0.
    """
    frame = cohort.frame.loc[cohort.frame["analysed"], [*KEY, "half_terms_measured"]].sort_values(KEY, kind="stable", ignore_index=True)
    counted = {name: outcome for name, outcome in OUTCOMES.items() if _recorded(panel, outcome)}
    names = sorted({column.lstrip("-") for outcome in counted.values() for column in (*outcome.count, outcome.whole)})
    arrays = lay_out(cohort.grid, panel, names)
    parts = []
    for name, outcome in counted.items():
        count = sum(-arrays[c[1:]] if c.startswith("-") else arrays[c] for c in outcome.count)
        whole = arrays[outcome.whole]
        if outcome.post_only:
            known = np.array([year >= PART_TIME_FROM for year in cohort.grid.year])
            count, whole = count * known, whole * known
        parts.append(_over_windows(frame, cohort.grid.pupils, count, whole, outcome.rule, windows).assign(outcome=name))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _recorded(panel: pd.DataFrame, outcome: Outcome) -> bool:
    needed = [column.lstrip("-") for column in (*outcome.count, outcome.whole)]
    return all(column in panel.columns and panel[column].notna().all() for column in needed)


def _over_windows(frame: pd.DataFrame, pupils: pd.Index, count: np.ndarray, whole: np.ndarray, rule: str | None, windows: Windows) -> pd.DataFrame:
    """Counts of one outcome over the three windows, on the rows of ``frame``."""
    row, stack, measured = pupils.get_indexer(frame["pupil_id"]), frame["stack"].to_numpy(), frame["half_terms_measured"].to_numpy()
    columns = {name: frame[name] for name in KEY}
    for word, times in (("baseline", windows.baseline), ("window", windows.eligibility), ("followup", windows.follow_up)):
        used = [np.ones(len(frame), dtype=bool) if word == "window" else measured > place for place in range(len(times))]
        at = [(row, np.where((stack + e >= 0) & (stack + e < whole.shape[1]), stack + e, 0)) for e in times]  # column 0 holds nothing
        part = sum(np.where(inside, count[place], 0) for inside, place in zip(used, at, strict=True))
        total = sum(np.where(inside, whole[place], 0) for inside, place in zip(used, at, strict=True))
        if rule is not None:
            part, total = ((total > 0) & (ELIGIBILITY_RULES[rule] * part >= total)).astype("int64"), (total > 0).astype("int64")
        columns[f"{word}_count"], columns[f"{word}_of"] = part, total
    return pd.DataFrame(columns)


def outcome_rows(cohort: pd.DataFrame, outcomes: pd.DataFrame, name: str) -> pd.DataFrame:
    """The cohort's analysed rows with one outcome in place of absence.

    Parameters
    ----------
    cohort, outcomes : DataFrame
        Tables ``cohort`` and ``cohort_outcomes``.
    name : str
        An outcome of ``OUTCOMES``.

    Returns
    -------
    DataFrame
        As ``cohort``, with ``baseline_rate, followup_rate, change`` of the outcome in percentage points (for ``attended_of_open`` higher
        is better, so its sign is the other way round). Where an outcome is post-only, ``baseline_rate`` is missing and ``change`` is the
        follow-up value. Rows that lack a value are left out.

    Raises
    ------
    ParameterError
        There is no such outcome, or these registers do not hold it.
    """
    if name not in OUTCOMES:
        raise ParameterError(f"there is no outcome `{name}`", where="outcome", mend=f"choose from {', '.join(OUTCOMES)}")
    own = outcomes.loc[outcomes["outcome"] == name]
    if own.empty:
        raise ParameterError(f"the registers do not hold what `{name}` is counted from", where="table `cohort_outcomes`",
                             mend="supply session marks in place of totals, or leave the outcome out")
    before, after = (_rate(own, word) for word in ("baseline", "followup"))
    if OUTCOMES[name].post_only:
        before, change = np.full(len(own), np.nan), after
    else:
        change = after - before
    values = own[KEY].assign(baseline_rate=before, followup_rate=after, change=change)
    kept = [c for c in cohort.columns if c not in ("baseline_rate", "followup_rate", "change")]
    rows = cohort.loc[cohort["analysed"], kept].merge(values, on=KEY, how="inner", validate="one_to_one")
    return rows.loc[rows["change"].notna(), list(cohort.columns)].reset_index(drop=True)


def _rate(own: pd.DataFrame, word: str) -> np.ndarray:
    count, of = own[f"{word}_count"].to_numpy(), own[f"{word}_of"].to_numpy()
    return np.divide(100.0 * count, of, out=np.full(len(own), np.nan), where=of > 0)


def outcome_summary(cohort: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Every outcome among the analysed pupils at their first window: how many have it, and its mean level before and after by arm.

    Returns
    -------
    DataFrame
        Table ``outcome_levels``: ``outcome, title, role, better, pupils, mentored_pupils, comparison_pupils, mentored_before, mentored_after, comparison_before, comparison_after`` (percentage
        points; missing where not recorded). No effect: pupils are not weighted.
    """
    lines = []
    for name, outcome in OUTCOMES.items():
        line = {"outcome": name, "title": outcome.title, "role": outcome.role, "better": outcome.better, "pupils": 0, "mentored_pupils": 0, "comparison_pupils": 0}
        if (outcomes["outcome"] == name).any():
            rows = outcome_rows(cohort.loc[cohort["entry"] == "first"], outcomes, name)
            line["pupils"] = len(rows)
            for arm, inside in (("mentored", rows["mentor_school"]), ("comparison", ~rows["mentor_school"])):
                line |= {f"{arm}_pupils": int(inside.sum()), f"{arm}_before": rows.loc[inside, "baseline_rate"].mean(), f"{arm}_after": rows.loc[inside, "followup_rate"].mean()}
        lines.append(line)
    columns = ["outcome", "title", "role", "better", "pupils", "mentored_pupils", "comparison_pupils", "mentored_before", "mentored_after", "comparison_before", "comparison_after"]
    return pd.DataFrame(lines).reindex(columns=columns)
