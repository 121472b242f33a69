"""Harms that mentoring might do, and negative controls: outcomes that it cannot plausibly move."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaluation.design.cohort import LEFT
from evaluation.design.outcomes import OUTCOMES, outcome_rows
from evaluation.design.registered import KEY
from evaluation.errors import UnidentifiedError
from evaluation.impact.attrition import entered_rows
from evaluation.impact.change import ChangeEstimate
from evaluation.impact.judge import IMPRECISE, NOT_DONE, ended, figures_of, judge, no_figures, try_change
from evaluation.protocol.trial import ImpactSection

HARM, CONTROL = "harm", "negative control"
MORE, LESS, UNCLEAR = "harm seen", "less of it", "no clear evidence either way"

POINTS_OF_SESSIONS, POINTS_OF_PUPILS, PER_HUNDRED = "percentage points of sessions", "percentage points of pupils", "suspensions per 100 pupils"
LEAVING, REPORTED = "left_the_roll", "suspensions_reported"
POST_ONLY = "follow-up values compared, not changes: not recorded apart before 19 August 2024"
LEAVING_SAYS = "everyone who entered, comparison pupils weighted to the treated of their area and stack"
NONE_REPORTED = "no suspension was reported, or none were supplied"
REPORTED_SAYS = "suspensions as schools reported them, by the half-term in which each began"


QUIET = {CONTROL: "negative controls moved by less than the registered tolerance, if at all", HARM: "no harm was seen, which does not rule it out"}
NOT_HELD = "the registers hold no such outcome, so that nothing could be checked"


def suspension_rows(rows: pd.DataFrame, suspensions: pd.DataFrame, roles: Mapping[int, str]) -> pd.DataFrame:
    """The estimator's rows with the change in reported suspensions, from baseline to follow-up.

    Parameters
    ----------
    rows : DataFrame
        With ``stack, pupil_id, half_terms_measured``.
    suspensions : DataFrame
        Table ``suspension_counts``.
    roles : mapping of int to str
        Role of each event half-term; where fewer half-terms were measured, the last ones of either end are left out, as in the cohort.
    """
    counts = suspensions.set_index(["pupil_id", "half_term"])["suspensions"]
    change = np.zeros(len(rows))
    measured = rows["half_terms_measured"].to_numpy()
    for role, sign in (("baseline", -1.0), ("follow-up", 1.0)):
        for place, time in enumerate(sorted(t for t, said in roles.items() if said == role)):
            at = pd.MultiIndex.from_arrays([rows["pupil_id"], rows["stack"] + time])
            change += sign * np.where(measured > place, counts.reindex(at).fillna(0).to_numpy(dtype=float), 0.0)
    return rows.assign(change=100.0 * change)


def harms(leading: Mapping[str, ChangeEstimate], cohort: pd.DataFrame, cohort_outcomes: pd.DataFrame, suspensions: pd.DataFrame,
          trajectories: pd.DataFrame, *, entries: str, rules: ImpactSection) -> pd.DataFrame:
    """Table ``harms``: harms and negative controls by the headline's rows, weights and test.

    Parameters
    ----------
    leading : mapping of str to ChangeEstimate
        The leading estimates by analysis.
    cohort, cohort_outcomes, suspensions, trajectories : DataFrame
        Tables ``cohort, cohort_outcomes, suspension_counts`` and ``cohort_trajectories``.
    entries : {"first", "matched_history", "risk_set"}
    rules : ImpactSection

    Returns
    -------
    DataFrame
        ``analysis, outcome, title, role, unit, estimate, std_error, df, conf_low, conf_high`` (above zero: more of the outcome), ``detectable, test``, counts,
        ``most_harm`` (the end of the interval on the harmful side), ``tolerance`` (negative controls), ``result, text``. A harm whose
        interval includes zero is "no clear evidence either way", never "no harm".
    """
    roles = trajectories.drop_duplicates("event_time").set_index("event_time")["role"].to_dict()
    lines = []
    for analysis, change in leading.items():
        within = "within_area" in analysis
        own = change.rows[[*KEY, "treated", "weight"]]
        for name in cohort_outcomes["outcome"].drop_duplicates():
            known = OUTCOMES[name]
            if known.role in (HARM, CONTROL):
                rows = own.merge(outcome_rows(cohort, cohort_outcomes, name), on=KEY, how="inner", validate="one_to_one")
                text = POST_ONLY if known.post_only else None
                lines.append(_line(analysis, name, known.title, known.role, POINTS_OF_SESSIONS, rows, within, rules, better=known.better, text=text))
        told = suspension_rows(change.rows, suspensions, roles)
        line = _line(analysis, REPORTED, "Suspensions reported", HARM, PER_HUNDRED, told, within, rules, text=REPORTED_SAYS)
        lines.append({**line, "text": NONE_REPORTED} if suspensions["suspensions"].sum() == 0 else line)
        entered = entered_rows(cohort, change.rows, entries=entries, referred_only=analysis.startswith("B"), within_area=within)
        left = entered.assign(change=100.0 * entered["exclusion"].eq(LEFT).fillna(False).astype(float))
        lines.append(_line(analysis, LEAVING, "Left the roll before the follow-up ended", HARM, POINTS_OF_PUPILS, left, within, rules, text=LEAVING_SAYS))
    return ended(pd.DataFrame(lines))


def _line(analysis: str, outcome: str, title: str, role: str, unit: str, rows: pd.DataFrame, within: bool, rules: ImpactSection, *,
          better: str = "lower", text: str | None = None) -> dict:
    known = {"analysis": analysis, "outcome": outcome, "title": title, "role": role, "unit": unit,
             "tolerance": rules.negative_control_tolerance if role == CONTROL else None}
    change = try_change(rows, within_area=within, weight="weight", scale=True)  # where an outcome is not known of everyone, as in `estimates`
    if isinstance(change, UnidentifiedError):
        return {**known, **no_figures(rows), "most_harm": None, "result": NOT_DONE, "text": change.message}
    figures = figures_of(change, rules, within_area=within, sign=-1.0)  # the estimator speaks of attendance: less of the outcome is above zero
    if role == CONTROL:
        return {**known, **figures, "most_harm": None, "result": judge(figures["conf_low"], figures["conf_high"], rules.negative_control_tolerance), "text": text}
    low, high = figures["conf_low"], figures["conf_high"]
    bad, good = (low > 0, high < 0) if better == "lower" else (high < 0, low > 0)
    return {**known, **figures, "most_harm": high if better == "lower" else low, "result": MORE if bad else LESS if good else UNCLEAR, "text": text}


def harm_checks(table: pd.DataFrame) -> pd.DataFrame:
    """Negative controls and harms, a line each for the verdict: one has passed only if no row failed or, of a negative control, was too imprecise.

    Returns
    -------
    DataFrame
        ``name, passed, value, unit, text``.
    """
    lines = []
    for name, role, bad in (("negative_controls", CONTROL, (IMPRECISE, "failed", NOT_DONE)), ("no_harm_seen", HARM, (MORE,))):
        rows = table.loc[table["role"] == role]
        wrong = rows.loc[rows["result"].isin(bad)].sort_values("result", key=lambda results: results.map(bad.index), kind="stable")
        said = "; ".join(f"{title}: {result}" for title, result in zip(wrong["title"], wrong["result"], strict=True))
        lines.append({"name": name, "passed": len(rows) > 0 and wrong.empty, "value": float(len(wrong)), "unit": "outcomes",
                      "text": said or (NOT_HELD if rows.empty else QUIET[role])})
    return pd.DataFrame(lines)


def harm_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Table ``harms`` for reading: negative controls first, with ``who`` in words and units other than points of sessions in the title."""
    other = table["unit"].ne(POINTS_OF_SESSIONS)
    title = table["title"].where(~other, table["title"] + " (" + table["unit"].str.replace("percentage points of pupils", "% of pupils") + ")")
    who = table["analysis"].str[0].map({"A": "all eligible", "B": "referred"})
    rows = table.assign(title=title.where(table["role"].ne(CONTROL), "Negative control: " + title), who=who)
    return rows.sort_values(["role", "outcome"], ascending=[False, True], kind="stable", ignore_index=True)
