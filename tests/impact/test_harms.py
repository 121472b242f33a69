"""Harms and negative controls, places left out, spillover: signs, results and refusals on drawn pupils with planted effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_trial import section

from evaluation.design.outcomes import outcome_rows
from evaluation.impact.change import estimate_change
from evaluation.impact.harms import LESS, MORE, REPORTED, UNCLEAR, harm_checks, harm_rows, harms, suspension_rows
from evaluation.impact.judge import FAILED, NOT_DONE, PASSED
from evaluation.impact.leave_out import LOST, REMAINS, TURNED, leave_one_out, leave_out_checks, leave_out_ranges
from evaluation.impact.spillover import CONTAMINATION, NOT_REFERRED, WITHIN, beside_mentors, not_referred, spillover, within_schools

RULES = section("impact", draws=999)
KEY = "B_referred_within_area_matched"
TRAJECTORIES = pd.DataFrame({"event_time": [-4, -3, -2, 2, 3, 4], "role": ["baseline"] * 3 + ["follow-up"] * 3})
NO_SUSPENSIONS = pd.DataFrame({"pupil_id": pd.Series(dtype="str"), "half_term": pd.Series(dtype="int64"), "suspensions": pd.Series(dtype="int64")})


def cohort_of(seed: int = 1, pupils: int = 40, effect: float = 3.0, others: float = 0.0, beside: float = 0.0) -> pd.DataFrame:
    """Two areas with three schools of either kind, and one area without mentors; ``others`` is the effect on pupils who were not referred."""
    draw = np.random.default_rng(seed)
    schools = [(f"{kind}{area}{s}", area) for area in "XY" for kind in "MC" for s in range(3)] + [(f"CZ{s}", "Z") for s in range(4)]
    frame = pd.DataFrame(schools, columns=["school_id", "area_code"]).loc[lambda f: f.index.repeat(pupils)].reset_index(drop=True)
    n, mentor = len(frame), frame["school_id"].str.startswith("M")
    frame = frame.assign(pupil_id=[f"P{i:04d}" for i in range(n)], stack=draw.integers(7, 9, n), mentor_school=mentor, entry="first", analysed=True,
                         attrition=False, exclusion=None, within_area=frame["area_code"] != "Z", between_pool=True, windows_before=0,
                         referred=mentor & (draw.random(n) < 0.5), followup_possible=180, half_terms_measured=3, baseline_rate=20.0)
    frame["referred_by_followup"] = frame["referred"]
    gain = np.select([frame["referred"], mentor, frame["area_code"] != "Z"], [effect, others, beside], 0.0)
    return frame.assign(change=draw.normal(0, 3, n) - gain)


def leading(cohort):
    rows = cohort.loc[cohort["within_area"] & (cohort["referred"] | ~cohort["mentor_school"])].assign(treated=lambda f: f["referred"].astype("int64"))
    return {KEY: estimate_change(rows, within_area=True)}


def outcomes_of(cohort, **shifts) -> pd.DataFrame:
    """Counts of outcomes: ``shifts`` adds sessions of 200 to referred pupils after the window."""
    draw, parts = np.random.default_rng(9), []
    for name, shift in shifts.items():
        before, after = draw.integers(20, 31, len(cohort)), draw.integers(20, 31, len(cohort)) + shift * cohort["referred"]
        parts.append(cohort[["stack", "pupil_id"]].assign(outcome=name, baseline_count=before, baseline_of=200, window_count=5, window_of=60,
                                                          followup_count=after, followup_of=200))
    return pd.concat(parts, ignore_index=True)


def found(cohort, suspensions=NO_SUSPENSIONS, **shifts):
    return harms(leading(cohort), cohort, outcomes_of(cohort, **shifts), suspensions, TRAJECTORIES, entries="first", rules=RULES).set_index("outcome")


def test_more_of_a_harm_is_above_zero_and_said():
    table = found(cohort_of(), suspension_sessions=6, part_time_timetable_rate=0, possible_of_open=-6, medical_rate=0)
    assert table.loc["suspension_sessions", "estimate"] == pytest.approx(3.0, abs=0.4) and table.loc["suspension_sessions", "result"] == MORE
    assert table.loc["suspension_sessions", "most_harm"] == table.loc["suspension_sessions", "conf_high"]
    assert table.loc["part_time_timetable_rate", "result"] == UNCLEAR and "not changes" in table.loc["part_time_timetable_rate", "text"]
    # Losing possible sessions is the harm, so that less of it is bad.
    assert table.loc["possible_of_open", "result"] == MORE and table.loc["possible_of_open", "most_harm"] == table.loc["possible_of_open", "conf_low"]
    assert found(cohort_of(), suspension_sessions=-6).loc["suspension_sessions", "result"] == LESS
    assert harm_rows(table.reset_index())["title"].iloc[0].startswith("Negative control")


def test_a_negative_control_that_moves_fails_and_one_that_is_still_passes():
    still, moved = (found(cohort_of(pupils=120), medical_rate=shift).loc["medical_rate"] for shift in (0, 4))
    assert still["role"] == "negative control" and abs(still["estimate"]) < 0.4 and moved["result"] == FAILED
    tight = section("impact", negative_control_tolerance=2.0)
    cohort = cohort_of(pupils=120)
    again = harms(leading(cohort), cohort, outcomes_of(cohort, medical_rate=0), NO_SUSPENSIONS, TRAJECTORIES, entries="first", rules=tight)
    assert again.set_index("outcome").loc["medical_rate", "result"] == PASSED
    checks = harm_checks(found(cohort_of(pupils=120), medical_rate=4, suspension_sessions=6).reset_index()).set_index("name")
    assert not checks["passed"].any() and "Medical" in checks.loc["negative_controls", "text"] and "suspended" in checks.loc["no_harm_seen", "text"]


def test_a_negative_control_whose_interval_excludes_zero_within_the_tolerance_is_not_said_to_stand_still():
    row = {"role": "negative control", "title": "Medical", "result": PASSED, "estimate": -0.11, "conf_low": -0.21, "conf_high": -0.01}
    said = harm_checks(pd.DataFrame([row])).set_index("name").loc["negative_controls"]
    assert said["passed"] and "less than the registered tolerance" in said["text"] and "did not" not in said["text"]


def test_registers_without_negative_controls_have_not_passed_them():
    checks = harm_checks(found(cohort_of(), suspension_sessions=0).reset_index()).set_index("name")
    assert not checks.loc["negative_controls", "passed"] and "hold no such outcome" in checks.loc["negative_controls", "text"]
    assert checks.loc["no_harm_seen", "passed"] and "does not rule it out" in checks.loc["no_harm_seen", "text"]


def test_an_outcome_that_is_not_known_of_everyone_has_its_comparison_weighted_to_the_treated_again():
    cohort = cohort_of()
    outcomes = outcomes_of(cohort, part_time_timetable_rate=2)
    known = outcomes.loc[cohort.index[~cohort["referred"] | (cohort["stack"] == 8)]]  # in one stack nobody referred, in the other everyone
    known = known.drop(index=known.index[::5])
    lines = harms(leading(cohort), cohort, known, NO_SUSPENSIONS, TRAJECTORIES, entries="first", rules=RULES).set_index("outcome")
    rows = leading(cohort)[KEY].rows[["stack", "pupil_id", "treated"]].merge(outcome_rows(cohort, known, "part_time_timetable_rate"), on=["stack", "pupil_id"])
    alone = estimate_change(rows, within_area=True)
    assert lines.loc["part_time_timetable_rate", "estimate"] == pytest.approx(-alone.estimate, abs=1e-12)
    assert lines.loc["part_time_timetable_rate", "std_error"] == pytest.approx(alone.std_error, abs=1e-12)


def test_an_outcome_that_nobody_has_is_no_number():
    table = found(cohort_of(), medical_rate=0)
    assert table.loc[REPORTED, "result"] == NOT_DONE and pd.isna(table.loc[REPORTED, "estimate"])
    assert "no suspension was reported" in table.loc[REPORTED, "text"]


def test_suspensions_are_counted_in_the_half_terms_that_were_measured():
    rows = pd.DataFrame({"pupil_id": ["a", "b", "c"], "stack": [7, 7, 7], "half_terms_measured": [3, 2, 3]})
    told = pd.DataFrame({"pupil_id": ["a", "a", "a", "b", "b"], "half_term": [4, 9, 7, 11, 10], "suspensions": [1, 2, 9, 5, 3]})
    roles = TRAJECTORIES.set_index("event_time")["role"].to_dict()
    # a: two after less one before, none of the window's. b: the last half-term of the follow-up, 11, was not measured.
    assert suspension_rows(rows, told, roles)["change"].tolist() == [100.0, 300.0, 0.0]


def test_each_place_left_out_is_the_estimate_without_its_pupils():
    cohort = cohort_of()
    lead = leading(cohort)
    table = leave_one_out(lead, rules=RULES)
    assert (table["left_out"] == "area").sum() == 2 and (table["left_out"] == "school").sum() == 12
    row = table.query("place == 'MX0'").iloc[0]
    again = estimate_change(lead[KEY].rows.query("school_id != 'MX0'").drop(columns="cell"), within_area=True, weight="weight")
    assert row["estimate"] == pytest.approx(again.estimate) and row["std_error"] == pytest.approx(again.std_error)
    assert row["arm"] == "mentored" and row["shift"] == pytest.approx(again.estimate - lead[KEY].estimate) and row["result"] == REMAINS
    ranges = leave_out_ranges(table).set_index("left_out")
    assert ranges.loc["school", "smallest"] == table.query("left_out == 'school'")["estimate"].min() and ranges.loc["area", "places"] == 2


def test_a_result_that_one_area_carries_is_found():
    cohort = cohort_of(effect=0.0)
    cohort["change"] -= np.where(cohort["area_code"].eq("X") & cohort["referred"], 9.0, 0.0) - np.where(cohort["area_code"].eq("Y") & cohort["referred"], 2.0, 0.0)
    table = leave_one_out(leading(cohort), rules=RULES)
    assert table.query("place == 'X'")["result"].iloc[0] == TURNED
    checks = leave_out_checks(table).set_index("name")
    assert not checks.loc["no_single_area_carries_it", "passed"] and "X" in checks.loc["no_single_area_carries_it", "text"]
    assert checks.loc["no_single_school_carries_it", "passed"]


def test_where_nothing_is_left_without_a_place_that_is_said():
    cohort = cohort_of().query("area_code == 'X'")
    row = leave_one_out(leading(cohort), rules=RULES).query("left_out == 'area'").iloc[0]
    assert row["result"] == LOST and pd.isna(row["estimate"]) and row["text"]


def test_help_to_pupils_who_were_not_referred_shows_as_spillover():
    cohort = cohort_of(pupils=80, others=3.0)
    offer = cohort.query("within_area")[["stack", "pupil_id"]].assign(design="within_area", referral_risk=0.5)
    table = spillover(leading(cohort), cohort, offer, rules=RULES).set_index("comparison")
    assert table.loc[NOT_REFERRED, "estimate"] == pytest.approx(3.0, abs=0.6) and table.loc[NOT_REFERRED, "result"] == FAILED
    assert table.loc[WITHIN, "estimate"] == pytest.approx(0.0, abs=0.6) and table.loc[WITHIN, "headline"] == pytest.approx(3.0, abs=0.6)
    quiet = cohort_of(pupils=80)
    calm = spillover(leading(quiet), quiet, offer, rules=RULES).set_index("comparison")
    assert abs(calm.loc[NOT_REFERRED, "estimate"]) < 0.6 and calm.loc[WITHIN, "estimate"] == pytest.approx(3.0, abs=0.6)


def test_comparison_schools_that_took_up_the_programme_show_as_contamination():
    cohort = cohort_of(pupils=80, beside=3.0)
    offer = cohort.query("within_area")[["stack", "pupil_id"]].assign(design="within_area", referral_risk=0.5)
    row = spillover(leading(cohort), cohort, offer, rules=RULES).set_index("comparison").loc[CONTAMINATION]
    assert row["estimate"] == pytest.approx(3.0, abs=0.6) and row["result"] == FAILED and row["schools_treated"] == 6 and row["schools_comparison"] == 4
    late = cohort.assign(windows_before=np.where(cohort["area_code"].eq("X"), 4, 0))
    assert beside_mentors(late).query("weight > 0 and treated == 1")["area_code"].unique().tolist() == ["Y"]  # X is on another clock


def test_within_schools_compares_inside_school_and_stack_and_leaves_later_referrals_out():
    cohort = cohort_of()
    later = cohort.index[cohort["mentor_school"] & ~cohort["referred"]][:5]
    cohort.loc[later, "referred_by_followup"] = True
    rows = within_schools(cohort.assign(referral_risk=0.4))
    assert rows["mentor_school"].all() and not set(cohort.loc[later, "pupil_id"]) & set(rows["pupil_id"])
    sums = rows.groupby(["school_id", "stack", "treated"])["weight"].sum().unstack()
    np.testing.assert_allclose(sums[0], sums[1])
    assert not set(cohort.loc[later, "pupil_id"]) & set(not_referred(cohort.assign(referral_risk=0.4))["pupil_id"])


def test_an_area_study_without_areas_free_of_mentors_cannot_look_for_contamination():
    cohort = cohort_of().query("area_code != 'Z'")
    offer = cohort[["stack", "pupil_id"]].assign(design="within_area", referral_risk=0.5)
    row = spillover(leading(cohort), cohort, offer, rules=RULES).set_index("comparison").loc[CONTAMINATION]
    assert row["result"] == NOT_DONE and pd.isna(row["estimate"])


def test_few_schools_are_judged_by_the_headlines_randomisation_test():
    cohort = cohort_of(pupils=60)
    strict = section("impact", minimum_treated_schools=7, draws=999)
    lead = leading(cohort)
    row = leave_one_out({KEY: lead[KEY]}, rules=strict).query("place == 'MX0'").iloc[0]
    assert row["test"] == "randomisation" and row["estimate"] == pytest.approx(3.0, abs=1.0)
    # Two of five and three of six schools: 200 assignments, so an interval at 95% ends or is missing, never a number from t.
    usual = leave_one_out(lead, rules=RULES).query("place == 'MX0'").iloc[0]
    assert usual["test"] == "cr2_satterthwaite" and row["conf_low"] != usual["conf_low"]
    offer = cohort.query("within_area")[["stack", "pupil_id"]].assign(design="within_area", referral_risk=0.5)
    table = spillover(lead, cohort, offer, rules=strict).set_index("comparison")
    assert table.loc[WITHIN, "test"] == "cr2_satterthwaite" and table.loc[NOT_REFERRED, "test"] == "randomisation"
