"""Who was lost, counted by hand, and what that does to an estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_trial import section

from evaluation.design.cohort import FEW_FOLLOWUP, LEFT
from evaluation.impact.attrition import (
    LEE, NOT_ABOVE, TIPPING, WORST, attrition_arms, attrition_bounds, attrition_schools, attrition_sentences, entered_rows,
)
from evaluation.impact.change import estimate_change
from evaluation.impact.harms import LEAVING, harms

RULES = section("impact", minimum_treated_schools=2, minimum_df=1.0)
KEY = "B_referred_within_area_matched"


def cohort_of(seed: int = 0, lost_referred: int = 3, lost_comparison: int = 9, effect: float = 4.0) -> pd.DataFrame:
    """Three schools of either kind in one area; some pupils are lost."""
    draw = np.random.default_rng(seed)
    parts = []
    for school in ("M1", "M2", "M3", "C1", "C2", "C3"):
        parts.append(pd.DataFrame({"school_id": school, "area_code": "X", "mentor_school": school.startswith("M"), "number": range(40)}))
    frame = pd.concat(parts, ignore_index=True)
    n = len(frame)
    frame = frame.assign(pupil_id=[f"P{i:03d}" for i in range(n)], stack=7, entry="first", referred=frame["mentor_school"] & (frame["number"] < 20),
                         within_area=True, between_pool=True, baseline_rate=draw.uniform(10, 40, n), followup_possible=180, half_terms_measured=3)
    frame["referred_by_followup"] = frame["referred"]
    frame["change"] = draw.normal(0, 5, n) - effect * frame["referred"]
    lost = (frame["referred"] & frame["number"].lt(lost_referred) & frame["school_id"].eq("M1")) | (
        ~frame["mentor_school"] & frame["number"].lt(lost_comparison) & frame["school_id"].eq("C1"))
    frame["exclusion"] = pd.Series(np.where(lost, np.where(frame["number"].eq(0), FEW_FOLLOWUP, LEFT), None), dtype="str").where(lost)
    return frame.assign(attrition=lost, analysed=~lost)


def leading(cohort: pd.DataFrame):
    rows = cohort.loc[cohort["analysed"] & (cohort["referred"] | ~cohort["mentor_school"])].assign(treated=lambda f: f["referred"].astype("int64"))
    return {KEY: estimate_change(rows, within_area=True)}


def test_pupils_lost_are_counted_by_arm_school_and_reason():
    table = attrition_schools(cohort_of()).set_index(["arm", "school_id", "reason"])
    assert table.loc[("referred", "M1", "any reason"), ["pupils", "of_pupils"]].tolist() == [3, 20]
    assert table.loc[("referred", "M1", LEFT), "pupils"] == 2 and table.loc[("referred", "M1", FEW_FOLLOWUP), "pupils"] == 1
    assert table.loc[("referred", "all", "any reason"), "share"] == pytest.approx(100 * 3 / 60)
    assert table.loc[("comparison", "C1", "any reason"), "share"] == pytest.approx(100 * 9 / 40)
    assert table.loc[("mentored", "all", "any reason"), ["pupils", "of_pupils"]].tolist() == [0, 60]
    by_school = table.drop(index="all", level="school_id").groupby(["arm", "reason"])["pupils"].sum()
    assert by_school.to_dict() == table.xs("all", level="school_id")["pupils"].to_dict()
    arms = attrition_arms(table.reset_index())
    assert arms["arm"].iloc[0] == "referred pupils" and arms["highest_school"].iloc[0] == pytest.approx(15.0)


def test_everyone_who_entered_stands_in_the_cells_of_the_estimate_and_weighs_as_the_treated():
    cohort = cohort_of()
    elsewhere = cohort.assign(stack=9, pupil_id="Q" + cohort["pupil_id"])
    entered = entered_rows(pd.concat([cohort, elsewhere], ignore_index=True), leading(cohort)[KEY].rows, entries="first", referred_only=True, within_area=True)
    assert entered["stack"].eq(7).all() and len(entered) == 60 + 120 and entered["retained"].sum() == 180 - 12
    weights = entered.groupby("treated")["weight"].sum()
    assert weights[0] == pytest.approx(weights[1]) == pytest.approx(60)


def test_bounds_collapse_to_the_estimate_where_both_arms_lose_alike():
    cohort = cohort_of(lost_referred=3, lost_comparison=6)  # 3 of 60 and 6 of 120
    table = attrition_bounds(leading(cohort), cohort, entries="first", rules=RULES).set_index("method")
    assert table.loc[LEE, "lower"] == pytest.approx(table.loc[LEE, "estimate"]) == pytest.approx(table.loc[LEE, "upper"])
    assert table.loc[LEE, "trimmed"] == "none"


def test_the_arm_that_was_lost_less_is_trimmed_by_the_difference():
    cohort = cohort_of(lost_referred=0, lost_comparison=12)
    table = attrition_bounds(leading(cohort), cohort, entries="first", rules=RULES).set_index("method")
    assert table.loc[LEE, "trimmed"] == "treated" and table.loc[LEE, "share_trimmed"] == pytest.approx(0.1)
    attended = (-cohort.loc[cohort["referred"], "change"]).sort_values(ascending=False)
    other = -cohort.loc[~cohort["mentor_school"] & cohort["analysed"], "change"].mean()
    assert table.loc[LEE, "upper"] == pytest.approx(attended.iloc[:54].mean() - other) and table.loc[LEE, "lower"] == pytest.approx(attended.iloc[6:].mean() - other)
    assert table.loc[WORST, "lower"] < table.loc[LEE, "lower"] < table.loc[LEE, "estimate"] < table.loc[LEE, "upper"] < table.loc[WORST, "upper"]
    tip = table.loc[TIPPING]
    assert pd.isna(tip["possible"]) and pd.isna(tip["tipping"]) and "no treated pupil was lost" in tip["text"] and tip["holds"]


def test_worst_cases_and_tipping_points_use_the_baselines_of_those_who_were_lost():
    cohort = cohort_of(lost_referred=6, lost_comparison=0)
    table = attrition_bounds(leading(cohort), cohort, entries="first", rules=RULES).set_index("method")
    gone, seen = cohort.loc[cohort["attrition"]], -cohort.loc[cohort["referred"] & cohort["analysed"], "change"].mean()
    estimate = table.loc[WORST, "estimate"]
    assert table.loc[WORST, "lower"] == pytest.approx(estimate - 0.1 * (seen - (gone["baseline_rate"].mean() - 100)))
    assert table.loc[WORST, "upper"] == pytest.approx(estimate - 0.1 * (seen - gone["baseline_rate"].mean()))
    assert table.loc[TIPPING, "tipping"] == pytest.approx(estimate / 0.1) and table.loc[TIPPING, "possible"] == pytest.approx(seen - (gone["baseline_rate"].mean() - 100))
    assert 0 < table.loc[TIPPING, "tipping_interval"] < table.loc[TIPPING, "tipping"]
    said = attrition_sentences(table.reset_index())
    assert len(said) == 1 and said[0].startswith("- Referred pupils (90.0% kept, 100.0% of comparison pupils): the mentored side lost more") and "points less than those observed" in said[0]


def test_an_estimate_that_is_not_above_zero_has_nothing_to_overturn():
    cohort = cohort_of(lost_referred=6, effect=-4.0)
    tip = attrition_bounds(leading(cohort), cohort, entries="first", rules=RULES).set_index("method").loc[TIPPING]
    assert tip["text"] == NOT_ABOVE and tip["tipping"] == 0.0 and pd.isna(tip["holds"])


def test_leaving_the_roll_is_a_harm_counted_over_everyone_who_entered():
    cohort = cohort_of(lost_referred=10, lost_comparison=4)
    trajectories = pd.DataFrame({"event_time": [-2, 2], "role": ["baseline", "follow-up"]})
    empty = pd.DataFrame({"stack": [], "pupil_id": [], "outcome": []})
    suspensions = pd.DataFrame({"pupil_id": ["P000"], "half_term": [9], "suspensions": [1]})
    table = harms(leading(cohort), cohort, empty, suspensions, trajectories, entries="first", rules=RULES).set_index("outcome")
    left = cohort["exclusion"].eq(LEFT).fillna(False)
    expected = 100 * (left[cohort["referred"]].mean() - left[~cohort["mentor_school"]].mean())
    assert table.loc[LEAVING, "estimate"] == pytest.approx(expected) and table.loc[LEAVING, "most_harm"] == table.loc[LEAVING, "conf_high"]
