"""The cohort: pupils who meet one rule in one calendar window, in schools with mentors and in schools that never had them.

One stack per eligibility window. Every pupil of a stack, referred or not, in either arm, has the stack's window, baseline
and follow-up: a comparison pupil's clock starts when it would have started, and a referred pupil's starts at the referral,
never at the first meeting that was kept. Consent is no eligibility rule: no comparison pupil was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.grid import LAST_YEAR_GROUP, Grid, panel_grid
from evaluation.design.windows import HALF_TERMS_A_YEAR, Windows
from evaluation.errors import DataError, UnidentifiedError
from evaluation.protocol.trial import CohortSection

FEW_BASELINE = "too few possible sessions in the baseline"
YEAR_11_OVER = "Year 11 ended before the follow-up"
STRATA_LEFT_OUT = {"year_6_baseline": "in Year 6 at baseline, which is not studied", "year_11_followup": "in Year 11 in the follow-up, which is not studied",
                   "other": "in neither Year 6 at baseline nor Year 11 in the follow-up, which is not studied"}
REFERRED_EARLIER = "referred before the window, so not untouched in it"
REFERRED_LATER = "comparison pupil who was referred before the follow-up ended"
LEFT_EARLY = "left before support could start"
LEFT = "left the registers before the follow-up ended"
FEW_FOLLOWUP = "too few possible sessions in the follow-up"

CHARACTERISTICS = ("sex", "fsm", "sen", "idaci")


@dataclass(frozen=True)
class Cohort:
    """The cohort and what flow and attrition are counted from.

    Attributes
    ----------
    frame : DataFrame
        Table ``cohort``.
    trajectories : DataFrame
        Table ``cohort_trajectories``.
    grid : Grid
    qualifies : ndarray of bool, shape (pupils, half-terms + 1)
        Whether the rule was met in the window that ends in a half-term, at a school of the study whose area was open.
    places : DataFrame
        When each school and its area opened, and which designs it belongs to (:func:`school_places`), a row a school in the order given.
    """

    frame: pd.DataFrame
    trajectories: pd.DataFrame
    grid: Grid
    qualifies: np.ndarray
    places: pd.DataFrame


def build_cohort(panel: pd.DataFrame, enrolments: pd.DataFrame, schools: pd.DataFrame, referrals: pd.DataFrame, *,
                 rules: CohortSection, windows: Windows, pool_areas: Sequence[str] | None = None) -> Cohort:
    """Find who enters, when, and what is measured.

    Parameters
    ----------
    panel, enrolments, schools, referrals : DataFrame
        Tables ``panel``, ``enrolments``, ``school_list`` and ``referral_list``.
    rules : CohortSection
    windows : Windows
    pool_areas : sequence of str, optional
        Area codes that give comparison pupils between areas (:func:`evaluation.design.programmes.comparison_pool`). None: those that the
        protocol names, else all areas without mentors.

    Returns
    -------
    Cohort
        One row a pupil and qualifying window. ``entry`` is "first" for the pupil's first qualifying window since the area
        opened: these rows are the cohort of the headline. "later" rows belong to risk-set sensitivities.

    Raises
    ------
    UnidentifiedError
        Fewer than two schools with mentors, no comparison school, or nobody enters in one of the arms.
    DataError
        A pupil who enters has no characteristics for that year.
    """
    schools = schools.reset_index(drop=True)
    _check_schools(schools)
    grid = panel_grid(panel, schools)
    _check_span(grid, rules, windows)
    places = school_places(schools, rules, pool_areas)
    qualifies = _qualifies(grid, places, studied(grid, schools, rules), rules, windows)
    first = _first_referrals(referrals, grid)
    parts = [_stack(t, grid, places, schools, qualifies, first, rules, windows) for t in range(rules.first_window_half_term, rules.last_window_half_term + 1)]
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True) if any(len(part) for part in parts) else parts[0]
    _check_arms(frame, rules)
    frame = _with_characteristics(frame, enrolments, grid)
    trajectories = _trajectories(frame.loc[frame["analysed"]], grid, windows)
    return Cohort(frame=frame, trajectories=trajectories, grid=grid, qualifies=qualifies, places=places)


def _check_schools(schools: pd.DataFrame) -> None:
    mentored = int(schools["mentor_school"].sum())
    without_date = schools["mentor_school"] & schools["first_mentor_half_term"].isna()
    if without_date.any():
        raise DataError(f"school {schools.loc[without_date, 'school_id'].iloc[0]!r} has mentors but no first half-term of mentoring",
                        where="table `school_list`, column `first_mentor_half_term`", mend="supply the date on which mentoring began")
    if mentored < 2:
        said = "only one school has mentors" if mentored else "no school has mentors"
        raise UnidentifiedError(f"{said}: an effect of mentoring cannot be told apart from what else happened in that school",
                                where="table `school_list`, column `mentor_school`", mend="report it descriptively, or add schools to the study")
    if mentored == len(schools):
        raise UnidentifiedError("every school has mentors, so there is no comparison school", where="table `school_list`, column `mentor_school`",
                                mend="supply registers of schools that never had mentors")


def _check_span(grid: Grid, rules: CohortSection, windows: Windows) -> None:
    """Every stack's baseline and follow-up must lie inside the registers, or its half-terms would differ from other stacks'."""
    begins = int(np.flatnonzero((grid.school >= 0).any(axis=0))[0])
    earliest, latest = begins - windows.baseline[0], grid.last_half_term - windows.follow_up[-1]
    if rules.first_window_half_term < earliest or rules.last_window_half_term > latest:
        raise DataError(
            f"the registers hold half-terms {begins} to {grid.last_half_term}, so windows from {earliest} to {latest} have a full baseline and follow-up; "
            f"the protocol asks for {rules.first_window_half_term} to {rules.last_window_half_term}",
            where="cohort.first_window_half_term, cohort.last_window_half_term", mend="narrow the protocol's range, or supply more half-terms")


def school_places(schools: pd.DataFrame, rules: CohortSection, pool_areas: Sequence[str] | None = None) -> pd.DataFrame:
    """When each school and its area opened for entry, and which designs it belongs to.

    Between areas both arms must run on one clock: a pupil whose area opened earlier had to stay below the threshold in half-terms
    that are part of the baseline, and pupils of areas that opened later had not. Only schools of areas that opened when
    the areas without mentors do belong to that design.

    Returns
    -------
    DataFrame
        On the index of ``schools``: ``mentor_school, area_open, own_open`` (half-terms; infinite for never), ``within_area,
        between_pool``.
    """
    mentor = schools["mentor_school"].astype(bool)
    own = schools["first_mentor_half_term"].astype("Float64").astype(float).where(mentor)
    by_area = own.groupby(schools["area_code"]).transform("min")
    default = np.inf if rules.opening_without_mentors is None else float(rules.opening_without_mentors)
    enough = rules.minimum_schools_per_arm
    counts = mentor.groupby(schools["area_code"])
    within = (counts.transform("sum") >= enough) & (counts.transform("size") - counts.transform("sum") >= enough)
    no_mentors = ~counts.transform("any")
    named = rules.between_pool_areas if pool_areas is None else pool_areas
    pool = no_mentors if named is None else schools["area_code"].isin(list(named))
    return pd.DataFrame({"mentor_school": mentor, "area_open": by_area.fillna(default), "own_open": own.fillna(by_area).fillna(default),
                         "within_area": within, "between_pool": (mentor | pool) & (by_area.fillna(default) == default)})


def studied(grid: Grid, schools: pd.DataFrame, rules: CohortSection) -> np.ndarray:
    """Whether each pupil is, in each half-term, in a phase and a year group that are studied."""
    phase = np.append(schools["phase"].isin(rules.phases).to_numpy(), False)  # the last for school -1: not on roll
    return phase[grid.school] & np.isin(grid.year_group, rules.year_groups)


def _qualifies(grid: Grid, places: pd.DataFrame, inside: np.ndarray, rules: CohortSection, windows: Windows) -> np.ndarray:
    """Whether the rule is met in the window that ends in each half-term, from the area's opening on, by pupils who are studied."""
    result = np.zeros_like(grid.absent, dtype=bool)
    opening = places["area_open"].to_numpy()
    for t in range(1, grid.last_half_term + 1):
        school = grid.school[:, t]
        is_open = (school >= 0) & (t + 1 >= opening[school])
        result[:, t] = is_open & inside[:, t] & grid.meets(rules.eligibility, t, windows.eligibility)
    return result


def _first_referrals(referrals: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """Each pupil's first referral, on the grid's rows; half-term 0 for pupils never referred."""
    ordered = referrals.sort_values(["referral_date", "referral_id"], kind="stable").drop_duplicates("pupil_id").set_index("pupil_id")
    first = ordered.reindex(grid.pupils)
    return pd.DataFrame({"half_term": first["referral_half_term"].astype("Float64").fillna(0).to_numpy(dtype=int),
                         "started": first["started"].astype("boolean").fillna(False).to_numpy(dtype=bool)}, index=grid.pupils)


def _stack(t: int, grid: Grid, places: pd.DataFrame, schools: pd.DataFrame, qualifies: np.ndarray, first: pd.DataFrame,
           rules: CohortSection, windows: Windows) -> pd.DataFrame:
    """The rows of one stack: everyone who qualifies in half-term ``t``."""
    school = grid.school[:, t]
    mentor = places["mentor_school"].to_numpy()[school]
    enters = qualifies[:, t] & (~mentor | (t + 1 >= places["own_open"].to_numpy()[school]))
    rows = np.flatnonzero(enters)
    group, school, mentor = grid.year_group[rows, t], school[rows], mentor[rows]
    year_11_ends = HALF_TERMS_A_YEAR * ((t - 1) // HALF_TERMS_A_YEAR + 1 + LAST_YEAR_GROUP - group)
    follow_up = np.array(windows.follow_up)
    keep = np.zeros((len(grid.pupils), len(follow_up)), dtype=bool)
    keep[rows] = t + follow_up[None, :] < year_11_ends[:, None]
    before, possible_before = (values[rows] for values in grid.sums(t, windows.baseline, keep))
    after, possible_after = (values[rows] for values in grid.sums(t, windows.follow_up, keep))
    window_absent, window_possible = (values[rows] for values in grid.sums(t, windows.eligibility))
    referral = first["half_term"].to_numpy()[rows]
    later_schools = grid.school[rows][:, np.minimum(t + follow_up, grid.last_half_term)]
    area_open, earlier = places["area_open"].to_numpy()[school], qualifies[rows, :t].sum(axis=1)
    frame = pd.DataFrame({
        "stack": t, "pupil_id": grid.pupils[rows], "school_id": schools["school_id"].to_numpy()[school],
        "area_code": schools["area_code"].to_numpy()[school], "mentor_school": mentor, "eligible": True,
        "entry": np.where(earlier == 0, "first", "later"), "qualified_before": earlier, "windows_before": np.minimum(t + 1 - area_open, t - 1).astype(int),
        "referred": mentor & (referral == t + 1), "referred_by_followup": mentor & (referral > t) & (referral <= t + follow_up[-1]),
        "started": mentor & (referral == t + 1) & first["started"].to_numpy()[rows],
        "stratum": _stratum(t, group, year_11_ends, windows), "year_group": group,
        "window_absence_rate": _rate(window_absent, window_possible),
        "baseline_absent": before, "baseline_possible": possible_before, "baseline_rate": _rate(before, possible_before),
        "followup_absent": after, "followup_possible": possible_after, "followup_rate": _rate(after, possible_after),
        "half_terms_measured": keep[rows].sum(axis=1),
        "moved_school": ((later_schools >= 0) & (later_schools != school[:, None]) & keep[rows]).any(axis=1),
        "within_area": places["within_area"].to_numpy()[school], "between_pool": places["between_pool"].to_numpy()[school],
    })
    frame["change"] = frame["followup_rate"] - frame["baseline_rate"]
    last_seen = (later_schools >= 0) | ~keep[rows]
    holds = {LEFT_EARLY: grid.school[rows, t + 1] < 0, REFERRED_EARLIER: mentor & (referral > 0) & (referral <= t),
             REFERRED_LATER: ~mentor & (referral > 0) & (referral <= t + follow_up[-1]), LEFT: ~last_seen.all(axis=1)}
    return _left_out(frame, holds, rules)


def _rate(absent: np.ndarray, possible: np.ndarray) -> np.ndarray:
    """Sessions absent in percentage points of possible ones; missing without a possible session."""
    return np.divide(100.0 * absent, possible, out=np.full(len(absent), np.nan), where=possible > 0)


def _stratum(t: int, group: np.ndarray, year_11_ends: np.ndarray, windows: Windows) -> np.ndarray:
    """Year 6 at baseline, Year 11 in follow-up (their measured half-terms may be cut short), or other."""
    year_of_window, year_of_baseline = (t - 1) // HALF_TERMS_A_YEAR, (t + windows.baseline[0] - 1) // HALF_TERMS_A_YEAR
    year_6 = group - (year_of_window - year_of_baseline) <= 6
    year_11 = t + windows.follow_up[-1] > year_11_ends - HALF_TERMS_A_YEAR
    return np.where(year_11, "year_11_followup", np.where(year_6, "year_6_baseline", "other"))


def _left_out(frame: pd.DataFrame, holds: dict[str, np.ndarray], rules: CohortSection) -> pd.DataFrame:
    """Why a row is not analysed: the first reason that holds, exclusions before attrition.

    Who left before the half-term in which support could start is excluded in both arms: a referred pupil is on roll then by
    definition, so counting these pupils as lost would make attrition look lower among the referred.
    """
    few_after = (frame["followup_possible"] < rules.minimum_sessions).to_numpy()
    reasons = [
        *((STRATA_LEFT_OUT[stratum], (frame["stratum"] == stratum).to_numpy()) for stratum in rules.excluded_strata),
        (YEAR_11_OVER, (frame["half_terms_measured"] == 0).to_numpy()),
        (FEW_BASELINE, (frame["baseline_possible"] < rules.minimum_sessions).to_numpy()),
        *((reason, holds[reason]) for reason in (LEFT_EARLY, REFERRED_EARLIER, REFERRED_LATER)),
        (LEFT, few_after & holds[LEFT]),
        (FEW_FOLLOWUP, few_after),
    ]
    frame["exclusion"] = pd.Series(None, index=frame.index, dtype="str")
    for reason, rows in reversed(reasons):
        frame.loc[rows, "exclusion"] = reason
    frame["attrition"] = frame["exclusion"].isin([LEFT, FEW_FOLLOWUP])
    frame["analysed"] = frame["exclusion"].isna()
    return frame


def _check_arms(frame: pd.DataFrame, rules: CohortSection) -> None:
    entered = frame.loc[frame["entry"] == "first"] if len(frame) else frame
    for arm, said in ((True, "schools with mentors"), (False, "comparison schools")):
        if not len(entered) or not (entered["mentor_school"] == arm).any():
            raise UnidentifiedError(
                f"the cohort is empty after eligibility: no pupil in {said} meets the rule `{rules.eligibility}` in a window from half-term "
                f"{rules.first_window_half_term} to {rules.last_window_half_term} after its area opened", where="cohort",
                mend="see the flow, the windows of the protocol and the half-terms in which mentoring began")


def _with_characteristics(frame: pd.DataFrame, enrolments: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """Characteristics as recorded in the academic year of the window."""
    year = frame["stack"].map(lambda t: grid.year[t])
    joined = frame.assign(academic_year=year).merge(enrolments[["pupil_id", "academic_year", *CHARACTERISTICS]], on=["pupil_id", "academic_year"],
                                                    how="left", validate="many_to_one")
    bare = joined[list(CHARACTERISTICS)].isna().any(axis=1)
    if bare.any():
        row = joined.loc[bare].iloc[0]
        raise DataError(f"{int(bare.sum())} row(s) of the cohort lack characteristics, the first in academic year {row['academic_year']}",
                        where="table `enrolments`", mend="supply the enrolments of that year, or leave these pupils out beforehand and count them")
    return joined.drop(columns="academic_year")


def _trajectories(frame: pd.DataFrame, grid: Grid, windows: Windows) -> pd.DataFrame:
    """Counts by event half-term of every analysed row; half-terms dropped at one end are dropped at the other."""
    row = grid.pupils.get_indexer(frame["pupil_id"])
    stack, measured = frame["stack"].to_numpy(), frame["half_terms_measured"].to_numpy()
    kept = {e: measured > i for times in (windows.baseline, windows.follow_up) for i, e in enumerate(times)}
    parts = []
    for e in windows.event_times:
        use = kept.get(e, np.ones(len(frame), dtype=bool))
        absent, possible = (np.where(use, values[row, stack + e], 0) for values in (grid.absent, grid.possible))
        parts.append(pd.DataFrame({"stack": stack, "pupil_id": frame["pupil_id"].to_numpy(), "event_time": e, "role": windows.role(e),
                                   "half_term": stack + e, "absent": absent, "possible": possible, "rate": _rate(absent, possible)}))
    return pd.concat(parts, ignore_index=True)
