"""What else ran: half-terms of a programme by hand, the pool of areas that may be compared, and how its reach changed in either arm."""

import pandas as pd
import pytest

from evaluation.design import build_cohort, co_interventions, comparison_pool, season_matched_windows
from evaluation.design.programmes import programme_half_terms
from evaluation.errors import DataError, ParameterError
from small_trial import panel_of, referrals_of, school_list, section

WINDOWS = season_matched_windows()
SCHOOLS = school_list(X={"M1": 7, "M2": 7, "C1": None}, Y={"C2": None}, Z={"C3": None})
FIRST = {h: pd.Timestamp("2022-09-01") + pd.DateOffset(months=2 * (h - 1)) for h in range(1, 20)}
TERMS = pd.DataFrame({"area_code": "all", "half_term": range(1, 19), "first_day": [FIRST[h] for h in range(1, 19)],
                      "last_day": [FIRST[h + 1] - pd.Timedelta(days=10) for h in range(1, 19)]})


def programmes(*rows: tuple) -> pd.DataFrame:
    """Rows of (programme, area, school or None, first half-term, last half-term or None for still running)."""
    return pd.DataFrame({"programme_id": [f"P{i}" for i in range(len(rows))], "programme": [r[0] for r in rows], "area_code": [r[1] for r in rows],
                         "school_id": pd.Series([r[2] for r in rows], dtype="str"), "start_date": pd.to_datetime([FIRST[r[3]] for r in rows]),
                         "end_date": pd.to_datetime([FIRST[r[4]] if r[4] else None for r in rows])})


def pool(*rows: tuple, **changes) -> pd.DataFrame:
    rules = section("cohort", pool_programmes=["Fund"], minimum_schools_per_arm=1, opening_without_mentors=7, **changes)
    return comparison_pool(programmes(*rows), TERMS, SCHOOLS, rules=rules, windows=WINDOWS).set_index("area_code")


def test_a_programme_runs_in_a_half_term_if_it_ran_on_one_day_of_it():
    ran = programme_half_terms(programmes(("Fund", "X", None, 3, 5), ("Club", "X", "C1", 17, None)), TERMS, SCHOOLS)
    assert {s: g["half_term"].tolist() for s, g in ran.query("programme == 'Fund'").groupby("school_id")} == dict.fromkeys(("C1", "M1", "M2"), [3, 4, 5])
    assert ran.query("programme == 'Club'")[["school_id", "half_term", "whole_area"]].values.tolist() == [["C1", 17, False], ["C1", 18, False]]
    # It began after the last school day of half-term 3, in the holiday.
    late = programmes(("Fund", "X", None, 3, 5)).assign(start_date=TERMS["last_day"].iloc[2] + pd.Timedelta(days=1))
    assert programme_half_terms(late, TERMS, SCHOOLS)["half_term"].min() == 4
    midway = programmes(("Fund", "X", None, 3, 5)).assign(start_date=TERMS["last_day"].iloc[2], end_date=TERMS["first_day"].iloc[3])
    assert set(programme_half_terms(midway, TERMS, SCHOOLS)["half_term"]) == {3, 4}
    own_calendar = pd.concat([TERMS, TERMS.head(2).assign(area_code="X", half_term=[1, 2], first_day=FIRST[4], last_day=FIRST[5])])
    assert set(programme_half_terms(programmes(("Fund", "X", None, 3, 5)), own_calendar, SCHOOLS)["half_term"]) == {1, 2}
    with pytest.raises(DataError, match="school 'S9', which is not in the list"):
        programme_half_terms(programmes(("Club", "X", "S9", 1, None)), TERMS, SCHOOLS)


def test_the_pool_holds_areas_with_the_same_programmes_at_the_same_time():
    found = pool(("Fund", "X", None, 1, 15), ("Fund", "Y", None, 1, 15))
    assert found["in_pool"].to_dict() == {"X": False, "Y": True, "Z": False}
    assert found.loc["Z", "reason"] == "without Fund in half-terms 1 to 15, when all areas with mentors had it" and found.loc["X", "reason"] == "schools with mentors" and found.loc["Y", "reason"] is None
    # Ended before, or went on after, it ended in the areas with mentors.
    found = pool(("Fund", "X", None, 1, 15), ("Fund", "Y", None, 1, 12), ("Fund", "Z", None, 1, None))
    assert not found["in_pool"].any()
    assert found.loc["Y", "reason"].startswith("without Fund in half-terms 13 to 15") and found.loc["Z", "reason"].startswith("with Fund in half-terms 16 to 18")
    # A programme of one school is no programme of its area; without a registered programme all areas without mentors are in.
    assert not pool(("Fund", "X", None, 1, 15), ("Fund", "Y", "C2", 1, 15)).loc["Y", "in_pool"]
    rules = section("cohort", pool_programmes=[], minimum_schools_per_arm=1)
    assert comparison_pool(programmes(("Fund", "X", None, 1, 15)), TERMS, SCHOOLS, rules=rules, windows=WINDOWS)["in_pool"].tolist() == [False, True, True]
    named = pool(("Fund", "X", None, 1, 15), ("Fund", "Y", None, 1, 15), between_pool_areas=["X", "Z"])
    assert named["in_pool"].to_dict() == {"X": True, "Y": False, "Z": False} and named.loc["Y", "reason"] == "not among the protocol's areas"


def test_a_misspelt_programme_is_refused_because_every_area_would_pass():
    with pytest.raises(ParameterError, match="programme 'Fund' is not in table `programmes`.*did you mean 'Funds'"):
        pool(("Funds", "X", None, 1, 15))


def spike() -> list:
    return [12 if h == 8 else 2 for h in range(1, 19)]


def built(found: pd.DataFrame | None = None):
    panel, enrolments = panel_of({s: {"school": s, "absent": spike()} for s in SCHOOLS["school_id"]}, SCHOOLS)
    areas = None if found is None else found.index[found["in_pool"]]
    rules = section("cohort", minimum_schools_per_arm=1)
    return build_cohort(panel, enrolments, SCHOOLS, referrals_of(("M1", "M1", 9, True)), rules=rules, windows=WINDOWS, pool_areas=areas), rules


def test_where_areas_with_mentors_differ_a_programme_may_go_either_way():
    schools = school_list(X={"M1": 7, "M2": 7}, W={"M3": 7}, Y={"C2": None}, Z={"C3": None})
    rules = section("cohort", pool_programmes=["Fund"], minimum_schools_per_arm=1, opening_without_mentors=7)
    rows = (("Fund", "X", None, 1, 15), ("Fund", "W", None, 1, 12), ("Fund", "Y", None, 1, 13), ("Fund", "Z", None, 1, 11))
    found = comparison_pool(programmes(*rows), TERMS, schools, rules=rules, windows=WINDOWS).set_index("area_code")
    assert found.loc["Y", "in_pool"] and found.loc["Z", "reason"] == "without Fund in half-term 12, when all areas with mentors had it"


def test_the_cohort_takes_the_pool():
    cohort, _ = built(pool(("Fund", "X", None, 1, 15), ("Fund", "Y", None, 1, 15)))
    assert set(cohort.frame.loc[cohort.frame["between_pool"], "pupil_id"]) == {"M1", "M2", "C2"}
    assert set(built()[0].frame.query("between_pool")["pupil_id"]) == {"M1", "M2", "C2", "C3"}


def test_the_reach_of_a_programme_by_arm_and_what_changed():
    cohort, rules = built()
    # Stack 8: baseline half-terms 4 to 6, follow-up 10 to 12. The club began in C1 in half-term 11.
    table = co_interventions(cohort, programmes(("Fund", "X", None, 1, 15), ("Club", "X", "C1", 11, None), (rules.programme, "X", None, 7, None)), TERMS, SCHOOLS,
                             rules=rules, windows=WINDOWS).set_index(["design", "programme", "arm"]).sort_index()
    within = table.loc["within_area"]
    assert within.loc[("Club", "comparison schools"), ["schools", "schools_with", "pupils"]].tolist() == [1, 1, 1]
    assert within.loc[("Club", "comparison schools"), ["baseline_share", "followup_share"]].tolist() == pytest.approx([0, 200 / 3])
    assert within.loc[("Club", "schools with mentors"), "schools_with"] == 0 and within.loc[("Fund", "schools with mentors"), "change"] == 0
    own = table.loc[("within_area", rules.programme)]
    assert own["under_study"].all() and own.loc["schools with mentors", "change"] == 100
    assert own.loc["comparison schools", "schools_with"] == 0  # its area has the programme, the school has not
    assert table.loc[("between_areas", "Fund", "comparison schools"), "followup_share"] == 0
