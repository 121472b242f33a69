"""Placebos: effects of a programme that was not there, which must be about zero.

Three of them. *Start*: support pretended to begin inside the baseline of the headline's own pupils. *Cohort*: the same rule one year
earlier, before any mentor. *Referral*: pupils of schools without mentors, by the chance of referral that such pupils had in schools with
mentors.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from evaluation.design.registered import KEY
from evaluation.errors import UnidentifiedError
from evaluation.impact.change import ChangeEstimate
from evaluation.impact.judge import FAILED, IMPRECISE, NOT_DONE, PASSED, ended, figures_of, judge, no_figures, try_change
from evaluation.protocol.trial import ImpactSection

START, COHORT, COHORT_ALL, REFERRAL = "placebo start", "placebo cohort", "placebo cohort, every window", "placebo referral"
SAYS = {
    START: "support pretended to begin inside the baseline: attendance from its first half-terms to its last, the headline's own pupils and weights",
    COHORT: "the same rule one year earlier, before any mentor worked in these schools: everyone eligible, weighted by referral risk",
    COHORT_ALL: "as the placebo cohort, with every qualifying window of a pupil instead of the first: nobody was referred yet, so none is missing",
    REFERRAL: "pupils of schools without mentors, as if referred by the chance that such pupils had in schools with mentors, against the same "
              "schools' pupils as if passed over; nobody is matched, for then both sides would be alike by construction",
}


NO_ROWS = {
    START: "no pupil has a rate in both halves of the baseline",
    COHORT: "the registers hold no half-terms early enough, or no risk of referral could be fitted: see the stages cohort and matching",
    COHORT_ALL: "the registers hold no half-terms early enough, or no risk of referral could be fitted: see the stages cohort and matching",
    REFERRAL: "no risk of referral could be fitted: see the stage matching",
}
NAMES = {START: "placebo_start", COHORT: "placebo_cohort", COHORT_ALL: "placebo_cohort", REFERRAL: "placebo_referral"}
"""Names under which the verdict's rule knows them."""


def placebo_start(rows: pd.DataFrame, trajectories: pd.DataFrame) -> pd.DataFrame:
    """The headline's rows with the change in absence inside the baseline, from its first half-terms to its last.

    Both halves lie before the window, so no support can have changed anything; a middle half-term belongs to neither half.

    Parameters
    ----------
    rows : DataFrame
        The estimator's own rows.
    trajectories : DataFrame
        Table ``cohort_trajectories``: ``stack, pupil_id, event_time, role, rate``.

    Returns
    -------
    DataFrame
        ``rows`` with ``change`` replaced; pupils without a rate in either half are left out.

    Raises
    ------
    UnidentifiedError
        The baseline is a single half-term.
    """
    before = trajectories.loc[trajectories["role"] == "baseline"]
    times = sorted(before["event_time"].unique())
    if len(times) < 2:
        raise UnidentifiedError("the baseline is a single half-term, so nothing can be pretended to start inside it", where="placebo_start",
                                mend="register a longer baseline, or leave this placebo out")
    half = len(times) // 2
    means = {name: before.loc[before["event_time"].isin(own)].groupby(KEY)["rate"].mean() for name, own in (("first", times[:half]), ("last", times[-half:]))}
    change = (means["last"] - means["first"]).rename("change").reset_index()
    joined = rows.drop(columns="change").merge(change, on=KEY, how="left", validate="one_to_one")
    return joined.loc[joined["change"].notna()].reset_index(drop=True)


def placebo_rows(weights: pd.DataFrame, rows: pd.DataFrame, check: str) -> pd.DataFrame:
    """Rows of the placebo cohort or the placebo referral, ready for the change estimator.

    Parameters
    ----------
    weights : DataFrame
        Table ``placebo_weights``.
    rows : DataFrame
        Table ``placebo_cohort`` or ``cohort``.
    check : str
    """
    own = weights.loc[weights["check"] == check, [*KEY, "treated", "weight"]]
    return own.merge(rows, on=KEY, how="left", validate="many_to_one").assign(treated=lambda f: f["treated"].astype("int64"))


def placebos(leading: Mapping[str, ChangeEstimate], trajectories: pd.DataFrame, cohort: pd.DataFrame, placebo_cohort: pd.DataFrame,
             placebo_weights: pd.DataFrame, *, rules: ImpactSection) -> pd.DataFrame:
    """Table ``placebos``: every placebo by the headline's test, and whether it passed the registered rule.

    Parameters
    ----------
    leading : mapping of str to ChangeEstimate
        The leading estimates by analysis.
    trajectories, cohort, placebo_cohort, placebo_weights : DataFrame
        Tables of those names.
    rules : ImpactSection

    Returns
    -------
    DataFrame
        ``check, analysis, estimate, std_error, df, conf_low, conf_high`` (points of sessions attended: above zero would flatter the programme),
        ``detectable`` (smallest bias it could have found), ``test``, counts, ``tolerance, result, text``. Weights are taken as known.
    """
    found = []
    for analysis, change in leading.items():
        try:
            rows = placebo_start(change.rows, trajectories)
        except UnidentifiedError as error:
            rows = error
        found.append((START, analysis, rows, "within_area" in analysis))
    parts = ((COHORT, "A_eligible", "cohort", placebo_cohort), (COHORT_ALL, "A_eligible", "cohort_every_window", placebo_cohort),
             (REFERRAL, "B_referred", "referral", cohort))
    found += [(check, analysis, placebo_rows(placebo_weights, rows, name), True) for check, analysis, name, rows in parts]
    return ended(pd.DataFrame([_line(*item, rules=rules) for item in found]))


def _line(check: str, analysis: str, rows: pd.DataFrame | UnidentifiedError, within_area: bool, *, rules: ImpactSection) -> dict:
    if isinstance(rows, pd.DataFrame) and rows.empty:
        rows = UnidentifiedError(NO_ROWS[check])
    change = rows if isinstance(rows, UnidentifiedError) else try_change(rows, within_area=within_area, weight="weight")
    known = {"check": check, "analysis": analysis, "tolerance": rules.placebo_tolerance}
    if isinstance(change, UnidentifiedError):
        return {**known, **no_figures(rows if isinstance(rows, pd.DataFrame) else pd.DataFrame()), "result": NOT_DONE, "text": change.message}
    figures = figures_of(change, rules, within_area=within_area)
    return {**known, **figures, "result": judge(figures["conf_low"], figures["conf_high"], rules.placebo_tolerance), "text": SAYS[check]}


def placebo_checks(table: pd.DataFrame) -> pd.DataFrame:
    """One line a placebo for the verdict: passed only if every one of its rows did.

    A placebo that is too imprecise to say has neither failed nor passed; its line says so.

    Returns
    -------
    DataFrame
        ``name, passed, value`` (of the row that decides), ``unit, text``.
    """
    order = {FAILED: 0, NOT_DONE: 1, IMPRECISE: 2, PASSED: 3}
    lines = []
    for name, rows in table.groupby(table["check"].map(NAMES), sort=False):
        row = rows.loc[rows["result"].map(order).idxmin()]
        lines.append({"name": name, "passed": row["result"] == PASSED, "value": row["estimate"],
                      "unit": "percentage points of sessions", "text": f"{row['check']}: {row['result']}"})
    return pd.DataFrame(lines).astype({"value": float})
