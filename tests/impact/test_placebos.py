"""Placebos: what they compare, that they find nothing where there is nothing, and that a real bias fails."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_trial import drawn_trial, panel_of, school_list, section

from evaluation.design import build_cohort, match_cohort, offer_weights, season_matched_windows
from evaluation.design.placebo import placebo_cohort, placebo_counts, placebo_weight_counts, placebo_weights, placebo_windows
from evaluation.errors import UnidentifiedError
from evaluation.impact import trial_estimates
from evaluation.impact.change import estimate_change
from evaluation.impact.estimates import POINTS
from evaluation.impact.judge import FAILED, IMPRECISE, NOT_DONE, PASSED, judge, leading_changes
from evaluation.impact.placebos import COHORT, REFERRAL, START, placebo_checks, placebo_rows, placebo_start, placebos
from evaluation.impact.verdict import IMPROVED, PROMISING, checks_table, verdict

RULES = section("impact", draws=999)
COVARIATES = section("matching").score_covariates


@pytest.fixture(scope="module")
def trial():
    return drawn_trial(5, pupils_per_school=90, effect=6.0, referral="level")


@pytest.fixture(scope="module")
def pieces(trial):
    cohort = build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=season_matched_windows())
    rules = section("matching", unmatched_tolerance=0.5)
    matched = match_cohort(cohort.frame, cohort.trajectories, rules=rules, seed=1)
    offer = offer_weights(cohort.frame, rules=rules).frame
    early = placebo_cohort(trial["panel"], trial["enrolments"], trial["schools"], rules=section("cohort"))
    weights = placebo_weights(cohort.frame, early.frame, score_covariates=COVARIATES)
    found = trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, offer_weights=offer, rules=RULES)
    return {"cohort": cohort, "early": early, "weights": weights, "leading": leading_changes(found)}


@pytest.fixture(scope="module")
def table(pieces):
    return placebos(pieces["leading"], pieces["cohort"].trajectories, pieces["cohort"].frame, pieces["early"].frame, pieces["weights"], rules=RULES)


@pytest.mark.parametrize(("low", "high", "result"), [
    (-0.5, 0.9, PASSED), (0.1, 0.9, PASSED), (-1.0, 1.0, PASSED), (0.2, 1.1, FAILED), (-3.0, -0.1, FAILED), (-0.5, 1.1, IMPRECISE), (-9.0, 9.0, IMPRECISE),
])
def test_a_wide_interval_never_passes_and_a_bias_beyond_the_tolerance_fails(low, high, result):
    assert judge(low, high, 1.0) == result


def test_every_placebo_is_there_by_the_headlines_test(table):
    assert table["check"].tolist() == [START, START, COHORT, f"{COHORT}, every window", REFERRAL]
    assert table["df"].gt(0).all() and (table["conf_low"] < table["estimate"]).all() and table["tolerance"].eq(RULES.placebo_tolerance).all()
    assert set(table["result"]) <= {PASSED, FAILED, IMPRECISE}


def test_the_placebo_start_takes_the_headlines_rows_and_changes_inside_the_baseline(pieces, table):
    analysis, change = next(iter(pieces["leading"].items()))
    rows = placebo_start(change.rows, pieces["cohort"].trajectories)
    one = rows.iloc[0]
    own = pieces["cohort"].trajectories.query("stack == @one.stack and pupil_id == @one.pupil_id").set_index("event_time")["rate"]
    assert one["change"] == pytest.approx(own[-2] - own[-4]) and len(rows) <= len(change.rows)
    expected = estimate_change(rows, within_area=True, weight="weight")
    assert table.query("analysis == @analysis")["estimate"].iloc[0] == pytest.approx(expected.estimate)


def test_a_decline_before_support_fails_the_placebo_start(pieces):
    trajectories = pieces["cohort"].trajectories.copy()
    leading = {key: change for key, change in pieces["leading"].items() if key.startswith("B")}
    treated = next(iter(leading.values())).rows.query("treated == 1")["pupil_id"]
    trajectories.loc[trajectories["event_time"].eq(-2) & trajectories["pupil_id"].isin(treated), "rate"] += 15.0
    found = placebos(leading, trajectories, pieces["cohort"].frame, pieces["early"].frame, pieces["weights"], rules=RULES)
    assert found.query("check == @START")["result"].iloc[0] == FAILED
    checks = placebo_checks(found).set_index("name")
    assert not checks.loc["placebo_start", "passed"] and checks.loc["placebo_referral", "passed"]


def test_a_single_half_term_of_baseline_has_no_placebo_start(pieces):
    short = pieces["cohort"].trajectories.query("event_time != -3 and event_time != -4")
    with pytest.raises(UnidentifiedError, match="single half-term"):
        placebo_start(next(iter(pieces["leading"].values())).rows, short)
    found = placebos(pieces["leading"], short, pieces["cohort"].frame, pieces["early"].frame, pieces["weights"], rules=RULES)
    assert found.query("check == @START")["result"].eq(NOT_DONE).all() and not placebo_checks(found).set_index("name").loc["placebo_start", "passed"]


def test_nobody_in_the_placebo_cohort_could_have_had_a_mentor(pieces, trial):
    early, windows = pieces["early"].frame, placebo_windows(section("cohort"))
    opening = trial["schools"].groupby("area_code")["first_mentor_half_term"].min().astype(float)
    ends = early["stack"] + windows.follow_up[-1]
    assert (ends < early["area_code"].map(opening).fillna(np.inf)).all() and len(early)
    assert windows.baseline == (-2,) and windows.follow_up == (2,)
    panel = trial["panel"].set_index(["pupil_id", "half_term"])
    row = early.iloc[0]
    rate = {h: 100 * panel.loc[(row["pupil_id"], row["stack"] + h), "harmonised_absent"] / 60 for h in (-2, 0, 2)}
    assert row["change"] == pytest.approx(rate[2] - rate[-2]) and row["window_absence_rate"] == pytest.approx(rate[0]) and rate[0] >= 10
    assert placebo_counts(pieces["early"])["mentored"].iloc[1] == early.query("within_area")["mentor_school"].sum()


def test_registers_that_begin_too_late_give_no_placebo_cohort_and_say_why(trial, pieces):
    late = trial["panel"].query("half_term > 3")
    found = placebo_cohort(late, trial["enrolments"], trial["schools"], rules=section("cohort"))
    assert found.frame.empty and "half-term 4" in found.reason and placebo_counts(found)["note"].iloc[0] == found.reason
    weights = placebo_weights(pieces["cohort"].frame, found.frame, score_covariates=COVARIATES)
    assert set(weights["check"]) == {"referral"}
    table = placebos(pieces["leading"], pieces["cohort"].trajectories, pieces["cohort"].frame, found.frame, weights, rules=RULES).set_index("check")
    assert table.loc[COHORT, "result"] == NOT_DONE and pd.isna(table.loc[COHORT, "estimate"]) and table.loc[REFERRAL, "result"] != NOT_DONE
    assert not placebo_checks(table.reset_index()).set_index("name").loc["placebo_cohort", "passed"]


def test_the_placebo_referral_weighs_each_pupil_by_risk_and_by_its_complement(pieces):
    own = pieces["weights"].query("check == 'referral'")
    sides = own.pivot(index=["stack", "pupil_id"], columns="treated", values="weight").dropna()
    frame = pieces["cohort"].frame.query("entry == 'first' and analysed and within_area and not mentor_school").set_index(["stack", "pupil_id"])
    assert set(sides.index) == set(frame.index) and not frame["mentor_school"].any()
    cells = frame.loc[sides.index, "area_code"]
    totals = sides.groupby([sides.index.get_level_values("stack"), cells.to_numpy()]).sum()
    np.testing.assert_allclose(totals[True], totals[False])
    odds = sides[False] / (1 - sides[True])  # (1 - p) times a constant of the cell
    spread = odds.groupby([sides.index.get_level_values("stack"), cells.to_numpy()]).std().fillna(0)
    assert sides[True].between(0, 1).all() and spread.abs().max() < 1e-12
    assert placebo_weight_counts(pieces["weights"])["pupils"].sum() == len(pieces["weights"])


def test_the_placebo_referral_is_the_weighted_difference_of_its_sides(pieces, table):
    rows = placebo_rows(pieces["weights"], pieces["cohort"].frame, "referral")
    mean = {side: np.average(own["change"], weights=own["weight"]) for side, own in rows.groupby("treated")}
    assert table.query("check == @REFERRAL")["estimate"].iloc[0] == pytest.approx(mean[0] - mean[1])


def test_where_nobody_was_referred_there_is_no_risk_and_no_placebo(pieces):
    nobody = pieces["cohort"].frame.assign(referred=False)
    assert placebo_weights(nobody, pieces["early"].frame, score_covariates=COVARIATES).empty


def test_a_placebo_cohort_needs_both_arms():
    schools = school_list(X={"M1": 7, "M2": 7, "C1": None})
    pupils = {f"P{i}": {"school": school, "absent": [0, 0, absent, 0, 0, 0, 0, 0, 0, 0, 0, 0]}
              for i, (school, absent) in enumerate((("M1", 30), ("M2", 30), ("C1", 0)))}
    panel, enrolments = panel_of(pupils, schools)
    found = placebo_cohort(panel, enrolments, schools, rules=section("cohort"))
    assert found.frame.empty and "comparison schools" in found.reason


def test_a_verdict_does_not_call_a_check_passed_that_is_too_imprecise_to_say(pieces, table):
    rules = section("impact", robustness_checks=["placebo_start", "placebo_referral"])
    vague = table.assign(result=np.where(table["check"].eq(START), IMPRECISE, PASSED))
    estimates = pd.DataFrame([{"headline": True, "scale": POINTS, "estimand": "B", "level": "referred", "conf_low": 0.1, "conf_high": 2.0, "p_floor": np.nan,
                               "conf_level": 0.95, "test": "cr2_satterthwaite", "estimate_id": "B_referred_within_area_matched_points", "design": "within_area"}])
    diagnostics = pd.DataFrame([("study", "lead_estimand", 0.0, None, None)], columns=["analysis", "item", "value", "unit", "text"])
    for frame, wording, words in ((vague, PROMISING, "were too imprecise to say: placebo start"),
                                  (table.assign(result=PASSED), IMPROVED, "every registered check passes")):
        found = verdict(estimates, diagnostics, rules=rules, checks=checks_table(placebo_checks(frame), rules=rules))
        assert found.wording == wording and words in found.reason
    failed = verdict(estimates, diagnostics, rules=rules, checks=checks_table(placebo_checks(table.assign(result=FAILED)), rules=rules))
    assert failed.wording == PROMISING and "placebo start: failed" in failed.reason
