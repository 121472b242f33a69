"""What stands beside the estimates: other tests, bands, bounds, cross-checks, the bracket, and limitations by rule."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import (
    NotEstimated, checks_table, event_studies, event_study, event_study_table, group_time_check, honest_bounds, impact_diagnostics, limitations, own_checks,
    robustness_tests, sensitivity_bracket, trends, two_way_weights,
)
from evaluation.impact.event_study import EventStudyFit
from evaluation.impact.robustness import AGREE, DISAGREE, TWO_WAY, WILD
from evaluation.impact.views import decision_view, disagreement, pooled
from evaluation.inference import linear
from small_trial import section

LEAD = "B_referred_within_area_matched"


@pytest.fixture(scope="module")
def studies(drawn):
    return event_studies(*(drawn.cohort.frame, drawn.cohort.trajectories, drawn.matched.match_weights), confidence_level=0.95, draws=999, seed=1)


@pytest.fixture(scope="module")
def bent(drawn, studies):
    return trends(studies, {"within_area": LEAD}, rules=drawn.rules)


def test_tests_beside_are_those_of_the_registered_fit(drawn):
    rows = drawn.tests.set_index(["estimate_id", "test"])
    change = drawn.items[LEAD].change
    wild = change.fit.wild_test("treated", draws=999, seed=3)
    own = rows.loc[(f"{LEAD}_points", WILD)]
    assert own["p_value"] == wild.p_value and [own["conf_low"], own["conf_high"]] == pytest.approx([-wild.conf_high, -wild.conf_low])
    pairs = drawn.matched.matches.query("design == 'within_area'").merge(change.rows.drop(columns="weight"), on=["stack", "pupil_id"], suffixes=("", "_row"))
    fit = linear(pairs, "change", ["treated"], weights="weight", absorb=["cell"], cluster=("set_id", "school_id"), kind="CR1")
    two_way = rows.loc[(f"{LEAD}_points", TWO_WAY)]
    assert two_way["estimate"] == pytest.approx(change.estimate) and two_way["std_error"] == pytest.approx(fit.frame["std_error"].iloc[0])
    assert two_way["df"] == min(fit.clusters) - 1
    # Only what was matched has pairs.
    assert not drawn.tests.loc[drawn.tests["test"].eq(TWO_WAY), "estimate_id"].str.contains("A_eligible").any()
    view = decision_view(drawn.estimates, drawn.tests)
    assert view["agrees"].eq("decides").sum() == drawn.tests["estimate_id"].nunique() and set(view["agrees"]) <= {"decides", "yes", "no", "not made"}


def test_the_fixed_sentence_stands_where_a_test_falls_on_the_other_side_of_five_per_cent(drawn):
    item = drawn.items[LEAD]
    said = impact_diagnostics([item], rules=drawn.rules, tests=drawn.tests).set_index(["analysis", "item"]).loc[(LEAD, "tests_disagree")]
    assert said["value"] == 0.0 and said["text"] == AGREE
    other = replace(item, decision=replace(item.decision, p_value=0.9))
    tests = robustness_tests([other], drawn.matched.matches, rules=drawn.rules, seed=3)
    assert not tests["agrees"].any()
    said = impact_diagnostics([other], rules=drawn.rules, tests=tests).set_index(["analysis", "item"]).loc[(LEAD, "tests_disagree")]
    assert said["value"] == 1.0 and said["text"] == DISAGREE


def test_effective_schools_and_the_heaviest_school_are_printed_without_its_name(drawn):
    rows = drawn.diagnostics.query("analysis == @LEAD").set_index("item")
    held = drawn.items[LEAD].change.fit.leverage.frame.set_index("term").loc["treated"]
    assert rows.loc["effective_clusters", "value"] == pytest.approx(held["effective_clusters"])
    assert rows.loc["largest_partial_leverage", "value"] == pytest.approx(held["largest_partial_leverage"])
    assert held["largest_cluster"] not in " ".join(drawn.diagnostics["text"].dropna())


def test_one_fit_of_all_half_terms_gives_what_fits_apart_give(drawn, studies):
    study = studies["within_area"]
    rows = drawn.matched.match_weights.query("design == 'within_area'")[["stack", "pupil_id", "treated", "weight"]]
    rows = rows.merge(drawn.cohort.frame[["stack", "pupil_id", "area_code", "school_id", "baseline_rate"]]).merge(drawn.cohort.trajectories, on=["stack", "pupil_id"])
    for time in (-4, 1, 3):
        part = rows.loc[(rows["event_time"] == time) & rows["rate"].notna()].assign(
            gap=lambda f: f["rate"] - f["baseline_rate"], treated=lambda f: f["treated"].astype(int), cell=lambda f: f["stack"].astype(str) + f["area_code"])
        term = linear(part.reset_index(drop=True), "gap", ["treated"], weights="weight", absorb=["cell"], cluster="school_id").frame.iloc[0]
        own = study.frame.set_index("event_time").loc[time]
        assert [own["estimate"], own["std_error"], own["df"]] == pytest.approx([term["estimate"], term["std_error"], term["df"]])
        assert study.vcov.loc[time, time] == pytest.approx(own["std_error"] ** 2)
    frame = event_study_table(studies)
    assert ((frame["band_low"] <= frame["conf_low"]) & (frame["band_high"] >= frame["conf_high"])).all()
    assert (frame["band_high"] > frame["conf_high"]).any()


def test_a_half_term_without_comparison_pupils_is_missing_and_leaves_the_others_alone(drawn, studies):
    treated = drawn.matched.match_weights.query("treated").drop_duplicates(["stack", "pupil_id"])[["stack", "pupil_id"]]
    rows = drawn.cohort.trajectories.merge(treated.assign(own=True), on=["stack", "pupil_id"], how="left")
    gone = (rows["event_time"] == 4) & rows["own"].isna()
    less = rows.loc[~gone].drop(columns="own")
    frame = event_study(drawn.cohort.frame, less, drawn.matched.match_weights, design="within_area", confidence_level=0.95).frame.set_index("event_time")
    assert np.isnan(frame.loc[4, "estimate"]) and np.isnan(frame.loc[4, "band_low"])
    whole = studies["within_area"].frame.set_index("event_time")
    assert frame.loc[3, "estimate"] == pytest.approx(whole.loc[3, "estimate"])


def straight(slope: float, effect: float = 0.0) -> EventStudyFit:
    """An event study in absence with a trend, and an effect on attendance after the window, almost without error."""
    times, roles = range(-4, 5), {**dict.fromkeys((-4, -3, -2), "baseline"), **dict.fromkeys((-1, 1), "left out"), 0: "eligibility window"}
    role = pd.Series({time: roles.get(time, "follow-up") for time in times})
    gaps = pd.Series({time: -slope * time - (effect if time >= 2 else 0.0) for time in times})
    vcov = pd.DataFrame(np.eye(9) * 1e-6, index=gaps.index, columns=gaps.index)
    return EventStudyFit(pd.DataFrame(), gaps, vcov, pd.Series(30.0, index=gaps.index), role, 12.0)


def test_the_slope_before_the_window_and_the_one_that_would_have_been_seen():
    found = trends({"within_area": straight(0.2)}, {"within_area": "x"}, rules=section("impact")).lines.set_index("item")
    assert found.loc["pre_trend_slope", "value"] == pytest.approx(0.2)  # in attendance: absence falls
    std_error = 0.001 / np.sqrt(2)  # of the slope over -4, -3, -2
    assert found.loc["pre_trend_detectable", "value"] == pytest.approx((2.0423 + 0.8538) * std_error, rel=1e-3)
    assert found.loc["pre_trend_detectable_bias", "value"] == pytest.approx(6 * found.loc["pre_trend_detectable", "value"])


def test_bounds_scale_departures_by_elapsed_half_terms_and_turn_to_attendance():
    rules = section("impact", honest_relative_magnitudes=[0.0, 1.0], honest_smoothness=[0.0])
    found = trends({"within_area": straight(0.2, effect=2.0)}, {"within_area": "x"}, rules=rules).bounds.set_index(["kind", "m"])
    # A straight trend of 0.2 a half-term, carried on from -2 to the mean of 2, 3 and 4, is 1.0: smoothness takes it out, and steps as large as
    # the largest before the window reach from 2 to 4 around what is measured from -2, 3.0.
    assert found.loc[("smoothness", 0.0), "conf_low"] < 2.0 < found.loc[("smoothness", 0.0), "conf_high"]
    assert found.loc[("smoothness", 0.0), "conf_high"] - found.loc[("smoothness", 0.0), "conf_low"] < 0.03
    assert found.loc[("relative_magnitude", 0.0)][["conf_low", "conf_high"]].mean() == pytest.approx(3.0, abs=0.01)
    assert found.loc[("relative_magnitude", 1.0)][["conf_low", "conf_high"]].tolist() == pytest.approx([2.0, 4.0], abs=0.02)
    assert found["breakdown"].loc["relative_magnitude"].iloc[0] == pytest.approx(3.0, rel=0.02)


def test_bounds_are_those_of_the_estimator_on_the_season_matched_half_terms(studies, drawn, bent):
    study = studies["within_area"]
    times, reference = [-4, -3, 2, 3, 4], -2
    change = pd.DataFrame(0.0, index=times, columns=study.estimates.index)
    for time in times:
        change.loc[time, [time, reference]] = [-1.0, 1.0]
    expected = honest_bounds((change @ study.estimates).to_numpy(), (change @ study.vcov @ change.T).to_numpy(), n_pre=2, n_post=3, kind="relative_magnitude",
                             m=[1.0], target=[1 / 3] * 3, event_times=times, reference_time=reference)
    own = bent.bounds.query("kind == 'relative_magnitude' and m == 1.0").iloc[0]
    assert [own["conf_low"], own["conf_high"]] == pytest.approx(expected.frame[["conf_low", "conf_high"]].iloc[0].tolist())
    # Six schools with mentors: fewer than ten effective ones, and the result says that it only illustrates.
    assert bent.bounds["illustrative"].all() and bent.bounds["text"].str.contains("illustrative").all()


def test_a_covariance_of_short_rank_is_refused_with_its_reason(studies, drawn):
    study = studies["within_area"]
    flat = replace(study, vcov=pd.DataFrame(np.outer(study.estimates, study.estimates), index=study.estimates.index, columns=study.estimates.index))
    found = trends({"within_area": flat}, {"within_area": LEAD}, rules=drawn.rules)
    assert found.bounds.empty and found.lines.set_index("item").loc["honest_smoothness_refused", "text"].startswith("no bounds: vcov has rank")


def test_group_time_effects_agree_with_the_registered_estimates(drawn):
    for key in (LEAD, "A_eligible_within_area_risk_weighted", "B_referred_between_areas_same_rule"):
        item = drawn.items[key]
        cross = group_time_check(item.change)
        assert cross.estimate == pytest.approx(item.estimate, rel=1e-9)
        assert cross.std_error == pytest.approx(item.std_error, rel=0.35) and cross.std_error != item.std_error


def test_two_way_weights_add_up_to_the_two_way_effect():
    schools = pd.DataFrame({"school_id": ["a", "b", "c"], "first_mentor_half_term": pd.array([2, 4, None], dtype="Int64")})
    absent = {"a": [10, 5, 5, 5, 5], "b": [10, 10, 10, 8, 8], "c": [10, 10, 9, 9, 9]}
    panel = pd.DataFrame([(school, time, count, 100) for school, counts in absent.items() for time, count in enumerate(counts, start=1)],
                         columns=["school_id", "half_term", "harmonised_absent", "harmonised_possible"])
    found = two_way_weights(panel, schools)
    whole, parts = found.iloc[0], found.iloc[1:]
    assert parts["weight"].sum() == pytest.approx(1.0) and whole["estimate"] == pytest.approx((parts["weight"] * parts["estimate"]).sum())
    dummies = panel.assign(attendance=lambda f: 100 - f["harmonised_absent"], on=lambda f: (f["half_term"] >= f["school_id"].map({"a": 2, "b": 4, "c": 99})).astype(float))
    fit = linear(dummies.assign(row=range(len(dummies))), "attendance", ["on"], absorb=["school_id", "half_term"], cluster="row", kind="CR0")
    assert whole["estimate"] == pytest.approx(fit.frame["estimate"].iloc[0])
    assert two_way_weights(panel.query("half_term != 3 or school_id != 'a'"), schools).empty


def test_the_bracket_begins_with_the_lead_and_ends_with_what_is_no_effect(drawn):
    bracket = sensitivity_bracket(drawn.found)
    assert bracket["estimate"].iloc[0] == drawn.items[LEAD].estimate and bracket["position"].tolist() == list(range(1, len(bracket) + 1))
    last = bracket.iloc[-1]
    assert not last["is_effect"] and "not an effect" in last["name"] and np.isnan(last["conf_low"]) and bracket["is_effect"].sum() == len(bracket) - 1
    assert last["estimate"] == pytest.approx(drawn.items[LEAD].change.change_treated)
    assert bracket["name"].is_unique and any("baseline mean" in name for name in bracket["name"])


@pytest.fixture(scope="module")
def limited(drawn, bent):
    """Applies the rules to the drawn trial's tables with changes."""
    def apply(*, estimates=None, diagnostics=None, refused=None, bounds=None, checks=None, **rules) -> pd.DataFrame:
        e = drawn.estimates if estimates is None else estimates
        d = pd.concat([drawn.diagnostics, bent.lines]) if diagnostics is None else diagnostics
        own = checks_table(own_checks(e, d), rules=drawn.rules) if checks is None else checks
        given = {"entries": "first", "rules": section("impact", **rules), "refused": NotEstimated() if refused is None else refused}
        return limitations(e, d, own, bent.bounds if bounds is None else bounds, **given).set_index("rule")
    return apply


def set_item(drawn, bent, item: str, value: float) -> pd.DataFrame:
    diagnostics = pd.concat([drawn.diagnostics, bent.lines], ignore_index=True)
    diagnostics.loc[diagnostics["item"] == item, "value"] = value
    return diagnostics


@pytest.mark.parametrize(("rule", "item", "value"), [
    ("few_effective_schools", "effective_clusters", 9.9), ("one_school_weighs_most", "largest_partial_leverage", 0.51), ("tests_disagree", "tests_disagree", 1.0),
    ("could_have_missed", "smallest_detectable_effect", 2.01), ("trend_could_hide", "pre_trend_detectable_bias", 50.0),
    ("bounds_break_early", "honest_relative_magnitude_breakdown", 0.99), ("measured_shorter", "measured_shorter", 3.0),
])
def test_a_limitation_holds_where_its_number_says_so_and_not_otherwise(drawn, bent, limited, rule, item, value):
    below = {"effective_clusters": 10.1, "honest_relative_magnitude_breakdown": 1.01}.get(item, 0.0)
    held, free = (limited(diagnostics=set_item(drawn, bent, item, number)) for number in (value, below))
    assert held.loc[rule, "triggered"] and held.loc[rule, "value"] in (value,) or (rule == "tests_disagree" and held.loc[rule, "triggered"])
    assert not free.loc[rule, "triggered"]
    assert held["triggered"].is_monotonic_decreasing and not held.reset_index()["rule"].duplicated().any()


def test_bounds_that_hold_zero_from_the_start_are_said_so(drawn, bent, limited):
    said = limited(diagnostics=set_item(drawn, bent, "honest_relative_magnitude_breakdown", 0.0)).loc["bounds_break_early"]
    assert said["triggered"] and said["text"].startswith("If the groups drift apart at all")


def test_limitations_on_selection_checks_and_what_is_missing(drawn, limited):
    plain = limited()
    assert plain.loc["choice_of_pupils", "triggered"] and "how pupils were chosen" in plain.loc["choice_of_pupils", "text"]
    estimates = drawn.estimates.copy()
    offer = estimates["estimate_id"].str.startswith("A_eligible_within_area_risk_weighted")
    estimates.loc[offer, "estimate"] = -0.4
    assert limited(estimates=estimates).loc["offer_points_elsewhere", "triggered"] and "the other way: -0.40" in limited(estimates=estimates).loc["offer_points_elsewhere", "text"]
    refused = NotEstimated({"A": "why not", "B_annual_persistent_absence": "no two such years"})
    missing = limited(refused=refused)
    assert missing.loc["not_estimated", "value"] == 2 and "could not be estimated: no two such years" in missing.loc["window_is_not_a_year", "text"]
    failing = checks_table(own_checks(drawn.estimates, drawn.diagnostics).assign(passed=False), rules=drawn.rules)
    assert limited(checks=failing).loc["check_same_rule_agrees", "triggered"] and limited(bounds=pd.DataFrame(columns=["design", "kind"])).shape[0] > 10


def test_pooled_rows_hold_no_part_and_no_other_outcome(drawn):
    rows = pooled(drawn.estimates)
    assert len(rows) == len(drawn.found) and rows["outcome"].eq("absence_rate").all()


def test_every_estimate_that_could_not_be_made_stands_with_its_reason(drawn):
    rows = impact_diagnostics(drawn.found, rules=drawn.rules, refused=NotEstimated({"B_x": "nobody is left"})).query("item == 'not_estimated'")
    assert rows[["analysis", "text"]].to_numpy().tolist() == [["B_x", "nobody is left"]]


def test_the_sentence_on_tests_names_the_comparisons_where_they_disagree(drawn):
    assert disagreement(drawn.diagnostics.assign(value=0.0)) == AGREE
    apart = drawn.diagnostics.copy()
    apart.loc[apart["item"].eq("tests_disagree"), "value"] = (apart["analysis"] == LEAD).astype(float)
    assert disagreement(apart).startswith(DISAGREE) and "B referred within area matched; elsewhere they agree." in disagreement(apart)
