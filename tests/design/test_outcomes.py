"""Outcomes by hand: what is counted of what, in which half-terms, and what happens where the registers lack the codes."""

import numpy as np
import pandas as pd
import pytest

from evaluation.design import OUTCOMES, build_cohort, measure_outcomes, outcome_rows, outcome_summary, season_matched_windows
from evaluation.errors import ParameterError
from small_trial import panel_of, referrals_of, school_list, section

WINDOWS = season_matched_windows()
SCHOOLS = school_list(X={"M1": 6, "M2": 6, "C1": None, "C2": None})
# Of 60 possible sessions in each half-term, by half-term 1 to 18.
ABSENT = {"m": [3, 6, 9, 12, 3, 6, 9, 30, 6, 40, 10, 10, 3, 3, 3, 3, 3, 3], "c": [2] * 7 + [12] + [2] * 10, "y": [1] * 7 + [12, 1, 8, 9, 50] + [1] * 6}
COUNTS = {"sessions_unauthorised": 2, "sessions_late": 4, "sessions_suspended": 1, "sessions_medical": 1, "sessions_illness": 1, "sessions_off_site": 3, "sessions_c2": 2}


def study(**changes) -> tuple:
    """Cohort and panel of three pupils; ``y`` is in Year 11 in 2023/24, so that its half-term 12 is dropped."""
    panel, enrolments = panel_of({p: {"school": "C1" if p == "c" else "M1", "year_group": 10 if p == "y" else 7, "absent": values}
                                  for p, values in ABSENT.items()}, SCHOOLS)
    panel = panel.assign(sessions_possible=panel["harmonised_possible"], sessions_authorised=panel["harmonised_absent"], sessions_open=64, **COUNTS)
    panel.loc[panel["academic_year"] < "2024/25", "sessions_c2"] = 0
    panel = panel.assign(**changes)
    rules = section("cohort", minimum_schools_per_arm=1)
    return build_cohort(panel, enrolments, SCHOOLS, referrals_of(), rules=rules, windows=WINDOWS), panel


def counts(table: pd.DataFrame, pupil: str, stack: int, outcome: str) -> tuple:
    row = table.query("pupil_id == @pupil and stack == @stack and outcome == @outcome")
    assert len(row) == 1
    return tuple(int(row[name].iloc[0]) for name in ("baseline_count", "baseline_of", "window_count", "window_of", "followup_count", "followup_of"))


def test_every_outcome_is_counted_of_its_whole():
    cohort, panel = study()
    table = measure_outcomes(cohort, panel, windows=WINDOWS)
    # Stack 8: baseline half-terms 4 to 6, follow-up 10 to 12, 60 possible and 64 open sessions each.
    expected = {
        "absence_rate": (12 + 3 + 6, 180, 30, 60, 40 + 10 + 10, 180), "absence_rate_official": (21 + 3 * 2, 180, 32, 60, 60 + 3 * 2, 180),
        "absence_rate_off_site_absent": (21 + 3 * 3, 180, 33, 60, 60 + 3 * 3, 180), "persistent_absence": (1, 1, 1, 1, 1, 1),
        "severe_absence": (0, 1, 1, 1, 0, 1), "unauthorised_rate": (6, 180, 2, 60, 6, 180), "lateness_rate": (12, 180, 4, 60, 12, 180),
        "suspension_sessions": (3, 180, 1, 60, 3, 180), "part_time_timetable_rate": (0, 0, 0, 0, 0, 0), "medical_rate": (3, 180, 1, 60, 3, 180),
        "illness_rate": (3, 180, 1, 60, 3, 180), "attended_of_open": (180 - 21, 192, 30, 64, 180 - 60, 192), "possible_of_open": (180, 192, 60, 64, 180, 192)}
    assert set(expected) == set(OUTCOMES) == set(table["outcome"])
    for name, numbers in expected.items():
        assert counts(table, "m", 8, name) == numbers, name


def test_a_rule_is_met_at_exactly_a_tenth_and_a_half():
    cohort, panel = study()
    at = cohort.frame.query("pupil_id == 'm' and stack == 8").index
    for absent, persistent, severe in ((18, 1, 0), (17, 0, 0), (90, 1, 1), (89, 1, 0)):
        own = panel.copy()
        own.loc[(own["pupil_id"] == "m") & own["half_term"].isin([10, 11]), "harmonised_absent"] = 0
        # More than the possible sessions cannot be; the sum alone matters here.
        own.loc[(own["pupil_id"] == "m") & (own["half_term"] == 12), "harmonised_absent"] = absent
        table = measure_outcomes(cohort, own, windows=WINDOWS)
        assert counts(table, "m", 8, "persistent_absence")[4] == persistent and counts(table, "m", 8, "severe_absence")[4] == severe
    assert len(at) == 1


def test_year_11_loses_a_half_term_at_both_ends():
    table = measure_outcomes(*study(), windows=WINDOWS)
    assert counts(table, "y", 8, "absence_rate") == (2, 120, 12, 60, 17, 120)
    assert counts(table, "y", 8, "lateness_rate")[:2] == (8, 120) and counts(table, "y", 8, "attended_of_open")[5] == 128


def test_part_time_timetables_are_counted_from_the_year_that_gave_them_a_code():
    panel_of_late = {"m": [2] * 10 + [12] + [2] * 7, "c": [2] * 10 + [12] + [2] * 7}
    panel, enrolments = panel_of({p: {"school": "M1" if p == "m" else "C1", "absent": values} for p, values in panel_of_late.items()}, SCHOOLS)
    panel = panel.assign(sessions_possible=60, sessions_authorised=2, sessions_open=64, **COUNTS)
    cohort = build_cohort(panel, enrolments, SCHOOLS, referrals_of(), rules=section("cohort", minimum_schools_per_arm=1), windows=WINDOWS)
    table = measure_outcomes(cohort, panel, windows=WINDOWS)
    # Stack 11: baseline 7 to 9 lies in 2023/24, follow-up 13 to 15 in 2024/25.
    assert counts(table, "m", 11, "part_time_timetable_rate") == (0, 0, 0, 0, 6, 180)
    rows = outcome_rows(cohort.frame, table, "part_time_timetable_rate")
    assert rows["baseline_rate"].isna().all() and rows["change"].tolist() == pytest.approx([100 * 6 / 180] * 2) and OUTCOMES["part_time_timetable_rate"].post_only


def test_the_primary_outcome_is_the_cohorts_own():
    cohort, panel = study()
    own = cohort.frame.loc[cohort.frame["analysed"]].sort_values(["stack", "pupil_id"], ignore_index=True)
    rows = outcome_rows(cohort.frame, measure_outcomes(cohort, panel, windows=WINDOWS), "absence_rate").sort_values(["stack", "pupil_id"], ignore_index=True)
    pd.testing.assert_frame_equal(rows, own)


def test_rows_do_not_hang_on_the_order_of_the_panel():
    cohort, panel = study()
    first, second = (measure_outcomes(cohort, p, windows=WINDOWS) for p in (panel, panel.sample(frac=1.0, random_state=1)))
    pd.testing.assert_frame_equal(first, second)


def test_what_the_registers_do_not_hold_has_no_rows_and_is_refused_by_name():
    cohort, panel = study(sessions_late=pd.array([None] * 54, dtype="Int64"))
    table = measure_outcomes(cohort, panel, windows=WINDOWS)
    assert "lateness_rate" not in set(table["outcome"]) and "medical_rate" in set(table["outcome"])
    with pytest.raises(ParameterError, match="do not hold what `lateness_rate`"):
        outcome_rows(cohort.frame, table, "lateness_rate")
    with pytest.raises(ParameterError, match="no outcome `happiness`"):
        outcome_rows(cohort.frame, table, "happiness")
    summary = outcome_summary(cohort.frame, table).set_index("outcome")
    assert summary.loc["lateness_rate", "pupils"] == 0 and np.isnan(summary.loc["lateness_rate", "mentored_before"])
    assert summary.loc["absence_rate", "pupils"] == cohort.frame.query("entry == 'first'")["analysed"].sum()
    assert (summary["mentored_pupils"] + summary["comparison_pupils"] == summary["pupils"]).all() and summary.loc["absence_rate", "mentored_pupils"] > 0
