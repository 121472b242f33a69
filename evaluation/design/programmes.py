"""What else ran where: which areas may be compared between areas, and how the arms differ in other programmes."""

from __future__ import annotations

import difflib

import numpy as np
import pandas as pd

from evaluation.design.cohort import Cohort, school_places
from evaluation.design.windows import Windows
from evaluation.errors import DataError, ParameterError
from evaluation.protocol.trial import CohortSection

EVERY_AREA = "all"
"""In table ``calendar_used``: the calendar of areas without one of their own."""

ARMS = {"schools with mentors": True, "comparison schools": False}


def programme_half_terms(programmes: pd.DataFrame, terms: pd.DataFrame, schools: pd.DataFrame) -> pd.DataFrame:
    """In which half-terms each programme ran at each school: a programme of an area runs at all its schools.

    Parameters
    ----------
    programmes, terms, schools : DataFrame
        Tables ``programme_list``, ``calendar_used`` and ``school_list``.

    Returns
    -------
    DataFrame
        ``programme, school_id, area_code, whole_area, half_term``, a row where the programme ran on at least one day of the half-term.

    Raises
    ------
    DataError
        A programme ran in a school that is not in the list.
    """
    alone = programmes["school_id"].notna()
    unknown = programmes.loc[alone & ~programmes["school_id"].isin(schools["school_id"])]
    if len(unknown):
        raise DataError(f"programme {unknown['programme'].iloc[0]!r} ran in school {unknown['school_id'].iloc[0]!r}, which is not in the list of schools",
                        where="table `programme_list`, column `school_id`", mend="add the school, or leave the row out")
    places = schools[["school_id", "area_code"]]
    whole = programmes.loc[~alone].drop(columns="school_id").merge(places, on="area_code").assign(whole_area=True)
    one = programmes.loc[alone].drop(columns="area_code").merge(places, on="school_id").assign(whole_area=False)
    rows = pd.concat([part for part in (whole, one) if len(part)], ignore_index=True) if len(programmes) else whole
    own = rows["area_code"].where(rows["area_code"].isin(terms["area_code"]), EVERY_AREA)
    spans = rows.assign(calendar=own).merge(terms[["area_code", "half_term", "first_day", "last_day"]].rename(columns={"area_code": "calendar"}), on="calendar")
    ran = (spans["start_date"] <= spans["last_day"]) & (spans["end_date"].isna() | (spans["end_date"] >= spans["first_day"]))
    columns = ["programme", "school_id", "area_code", "whole_area", "half_term"]
    return spans.loc[ran, columns].drop_duplicates(["programme", "school_id", "half_term"]).sort_values(columns, ignore_index=True)


def comparison_pool(programmes: pd.DataFrame, terms: pd.DataFrame, schools: pd.DataFrame, *, rules: CohortSection, windows: Windows) -> pd.DataFrame:
    """Which areas give comparison pupils between areas: those that had the same other programmes when the areas with mentors did.

    Parameters
    ----------
    programmes, terms, schools : DataFrame
        Tables ``programme_list``, ``calendar_used`` and ``school_list``.
    rules : CohortSection
    windows : Windows

    Returns
    -------
    DataFrame
        Table ``comparison_pool``: ``area_code, area_name, schools, mentor_schools, in_pool, reason`` (why an area is not in it; None
        where it is). For each registered programme an area must have had it, as a programme of
        the whole area, in every half-term of the study in which all areas with mentors of the design had it, and in none in which none
        of them did.

    Raises
    ------
    ParameterError
        A registered programme is not in the programmes' table: with a misspelt name every area would pass.
    """
    _check_known(programmes, rules)
    areas = schools.groupby("area_code", as_index=False).agg(area_name=("area_name", "first"), schools=("school_id", "size"),
                                                             mentor_schools=("mentor_school", "sum"))
    named = areas["area_code"].isin(rules.between_pool_areas) if rules.between_pool_areas is not None else areas["mentor_schools"] == 0
    places = school_places(schools.reset_index(drop=True), rules)
    clock = schools.reset_index(drop=True).loc[places["mentor_school"] & places["between_pool"], "area_code"].unique()
    span = range(rules.first_window_half_term + windows.baseline[0], rules.last_window_half_term + windows.follow_up[-1] + 1)
    ran = programme_half_terms(programmes, terms, schools)
    ran = ran.loc[ran["whole_area"] & ran["half_term"].isin(span)]
    had = {(programme, area): set(part["half_term"]) for (programme, area), part in ran.groupby(["programme", "area_code"])}
    reasons = []
    for area, asked, mentored in zip(areas["area_code"], named, areas["mentor_schools"] > 0, strict=True):
        unasked = "schools with mentors" if mentored else "not among the protocol's areas"
        reasons.append(_differs(area, [a for a in clock if a != area], had, rules.pool_programmes) if asked else unasked)
    areas["reason"] = pd.Series(reasons, index=areas.index, dtype="object")
    areas.insert(4, "in_pool", areas["reason"].isna())
    return areas.astype({"mentor_schools": "int64"})


def _check_known(programmes: pd.DataFrame, rules: CohortSection) -> None:
    known = sorted(programmes["programme"].unique())
    for name in rules.pool_programmes:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            raise ParameterError(f"programme {name!r} is not in table `programmes`, so no area can be held to it", where="cohort.pool_programmes",
                                 mend=f"did you mean {near[0]!r}?" if near else
                                 f"programmes are {', '.join(known) or 'none'}; supply its rows, or leave it out")


def _differs(area: str, mentored: list[str], had: dict[tuple[str, str], set[int]], programmes: list[str]) -> str | None:
    """The first programme in which an area differs from the areas with mentors, in words; None where it has all they have."""
    for programme in programmes if mentored else []:
        theirs = [had.get((programme, other), set()) for other in mentored]
        own = had.get((programme, area), set())
        lacking, beyond = set.intersection(*theirs) - own, own - set.union(*theirs)
        if lacking:
            return f"without {programme} in {_listed(lacking)}, when all areas with mentors had it"
        if beyond:
            return f"with {programme} in {_listed(beyond)}, when no area with mentors had it"
    return None


def _listed(numbers: set[int]) -> str:
    ordered = sorted(numbers)
    if len(ordered) == 1:
        return f"half-term {ordered[0]}"
    together = len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1
    return f"half-terms {ordered[0]} to {ordered[-1]}" if together else f"half-terms {', '.join(map(str, ordered))}"


def co_interventions(cohort: Cohort, programmes: pd.DataFrame, terms: pd.DataFrame, schools: pd.DataFrame, *, rules: CohortSection,
                     windows: Windows) -> pd.DataFrame:
    """How much of each programme either arm had in the baseline and in the follow-up.

    Parameters
    ----------
    cohort : Cohort
    programmes, terms, schools : DataFrame
        Tables ``programme_list``, ``calendar_used`` and ``school_list``.
    rules : CohortSection
    windows : Windows

    Returns
    -------
    DataFrame
        Table ``co_interventions``: ``design, programme, under_study, arm, schools, schools_with`` (in any measured half-term), ``pupils``
        (analysed at their first window), ``baseline_share, followup_share`` (% of their measured half-terms in which the programme ran at the
        school of entry), ``change``. What matters for an effect is a change that differs between the arms: a programme that both
        arms had all along cannot explain one. The programme under study comes first, and ran where and from when schools had mentors, whatever
        the programmes' table says of their areas.
    """
    frame = cohort.frame.loc[(cohort.frame["entry"] == "first") & cohort.frame["analysed"]]
    others = programme_half_terms(programmes.loc[programmes["programme"] != rules.programme], terms, schools)
    ran = pd.concat([_mentored(schools, cohort.grid.last_half_term, rules.programme), others], ignore_index=True)
    place = pd.Series(np.arange(len(schools)), index=schools["school_id"].to_numpy())
    at, stack = place.loc[frame["school_id"]].to_numpy(), frame["stack"].to_numpy()
    lines = []
    for programme, part in ran.groupby("programme", sort=False):
        on = np.zeros((len(schools), cohort.grid.last_half_term + 1))
        inside = part.loc[part["half_term"] <= cohort.grid.last_half_term]
        on[place.loc[inside["school_id"]].to_numpy(), inside["half_term"].to_numpy(dtype=int)] = 100.0
        before, after = (np.mean([on[at, stack + e] for e in times], axis=0) for times in (windows.baseline, windows.follow_up))
        for design, belongs in (("within_area", "within_area"), ("between_areas", "between_pool")):
            for arm, mentored in ARMS.items():
                rows = (frame[belongs] & (frame["mentor_school"] == mentored)).to_numpy()
                own = frame.loc[rows, "school_id"]
                some = own[(before[rows] > 0) | (after[rows] > 0)]
                shares = (float(values[rows].mean()) if rows.any() else np.nan for values in (before, after))
                lines.append((design, programme, programme == rules.programme, arm, own.nunique(), some.nunique(), int(rows.sum()), *shares))
    table = pd.DataFrame(lines, columns=["design", "programme", "under_study", "arm", "schools", "schools_with", "pupils", "baseline_share", "followup_share"])
    return table.assign(change=table["followup_share"] - table["baseline_share"])


def _mentored(schools: pd.DataFrame, last: int, programme: str) -> pd.DataFrame:
    """The programme under study by school and half-term, in the form of :func:`programme_half_terms`."""
    own = schools.loc[schools["mentor_school"].astype(bool)]
    spans = [np.arange(int(first), last + 1) for first in own["first_mentor_half_term"]]
    many = [len(span) for span in spans]
    return pd.DataFrame({"programme": programme, "school_id": np.repeat(own["school_id"].to_numpy(), many),
                         "area_code": np.repeat(own["area_code"].to_numpy(), many), "whole_area": False,
                         "half_term": np.concatenate(spans) if spans else np.empty(0, dtype=int)})
