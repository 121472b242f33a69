"""The estimates table, diagnostics, event study, verdict and truth of a small drawn trial."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.design import build_cohort, match_cohort, season_matched_windows
from evaluation.errors import ContractError, DataError, UnidentifiedError
from evaluation.impact import estimates_table, event_study, impact_diagnostics, trial_estimates, truth_comparison, verdict, verdict_rows
from evaluation.impact.estimates import DAYS, FRAGILE, POINTS, specification_digest
from evaluation.impact.truth import true_effects
from evaluation.impact.verdict import IMPROVED, NOT_ESTIMATED, PROMISING, UNCLEAR, WORDINGS, WORSENED
from small_trial import drawn_trial, section

WINDOWS = season_matched_windows()
RULES = section("impact")


@pytest.fixture(scope="module")
def trial():
    return drawn_trial(21, pupils_per_school=80, effect=8.0)


@pytest.fixture(scope="module")
def cohort(trial):
    return build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=WINDOWS)


@pytest.fixture(scope="module")
def matched(cohort):
    return match_cohort(cohort.frame, cohort.trajectories, rules=section("matching", unmatched_tolerance=0.5), seed=1)


@pytest.fixture(scope="module")
def found(cohort, matched):
    return trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, rules=RULES)


@pytest.fixture(scope="module")
def table(found):
    return estimates_table(found, rules=RULES)


@pytest.fixture(scope="module")
def diagnostics(found):
    return impact_diagnostics(found, rules=RULES)


def test_each_level_and_estimand_has_one_headline_a_scale(table):
    leads = table.loc[table["headline"]]
    counts = leads.groupby(["estimand", "level", "scale"]).size()
    assert counts.eq(1).all() and len(counts) == 8
    assert leads["design"].eq("within_area").all() and leads["decision_test"].all()
    assert set(table["scale"]) == {POINTS, DAYS} and table["direction"].eq("attendance").all() and table["estimate_id"].is_unique


def test_days_and_derived_rows_follow_from_points(table, found):
    wide = table.assign(key=table["estimate_id"].str.replace("_(points|days)$", "", regex=True)).pivot(index="key", columns="scale", values=["estimate", "std_error"])
    for item in found:
        key = item.comparison.key
        assert wide.loc[key, ("estimate", DAYS)] == pytest.approx(wide.loc[key, ("estimate", POINTS)] / 100 * item.change.followup_sessions / 2)
    rows = {item.comparison.key: item for item in found}
    referred, started = rows["B_referred_within_area_matched"], rows["B_started_within_area_matched"]
    share = referred.change.rows.query("treated == 1")["started"].mean()
    assert started.estimate == pytest.approx(referred.estimate / share) and "inherits the bias" in " ".join(started.warnings)
    offer, per_referred = rows["A_eligible_within_area_same_rule"], rows["A_referred_within_area_per_referred"]
    assert per_referred.std_error == pytest.approx(offer.std_error / offer.change.rows.query("treated == 1")["referred_by_followup"].mean())


def test_intervals_are_those_of_the_registered_level(cohort, matched, table):
    narrow = section("impact", confidence_level=0.8)
    other = estimates_table(trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, rules=narrow), rules=narrow)
    assert ((other["conf_high"] - other["conf_low"]) < (table["conf_high"] - table["conf_low"])).all()
    assert (other["specification_digest"] != table["specification_digest"]).all() and specification_digest(RULES) == table["specification_digest"].iloc[0]
    significant = table["p_value"] < 0.05
    assert (significant == ((table["conf_low"] > 0) | (table["conf_high"] < 0))).all()


def test_everyone_eligible_stands_in_the_offer_whether_referred_or_not(cohort, found):
    offer = next(item for item in found if item.comparison.key == "A_eligible_within_area_same_rule")
    expected = cohort.frame.query("analysed and entry == 'first' and mentor_school and within_area").shape[0]
    assert offer.change.n_treated + offer.change.left_out == expected
    assert not offer.change.rows.query("treated == 1")["referred"].all()


def test_the_before_and_after_figure_stands_beside_what_would_have_happened_anyway(diagnostics):
    rows = diagnostics.query("analysis == 'B_referred_within_area_matched'").set_index("item")
    assert "not an effect" in rows.loc["change_treated", "text"]
    gap = rows.loc["change_treated", "value"] - rows.loc["change_comparison", "value"]
    assert rows.loc["design_criteria_hold", "value"] == 1.0 and np.isfinite(gap)
    assert diagnostics.set_index(["analysis", "item"]).index.is_unique


def test_event_study_takes_the_baseline_off(cohort, matched, table):
    gaps = event_study(cohort.frame, cohort.trajectories, matched.match_weights, design="within_area", confidence_level=0.95).set_index("event_time")
    assert list(gaps.index) == list(range(-4, 5)) and gaps.loc[0, "role"] == "eligibility window"
    assert gaps.loc[[-4, -3, -2], "estimate"].mean() == pytest.approx(0.0, abs=1e-9)  # every pupil has the same possible sessions
    effect = table.set_index("estimate_id").loc["B_referred_within_area_matched_points", "estimate"]
    assert -gaps.loc[[2, 3, 4], "estimate"].mean() == pytest.approx(effect)
    assert ((gaps["conf_low"] < gaps["estimate"]) & (gaps["estimate"] < gaps["conf_high"])).all()


def test_truth_is_the_effect_on_the_pupils_analysed(trial, cohort, found, table):
    compared = truth_comparison(found, table, trial["truth"], trajectories=cohort.trajectories).set_index("estimate_id")
    item = found[0]
    treated = item.change.rows.query("treated == 1")
    by_hand = []
    for pupil, stack in zip(treated["pupil_id"], treated["stack"], strict=True):
        own = trial["truth"].query("pupil_id == @pupil and @stack + 2 <= half_term <= @stack + 4")
        by_hand.append(100 * (own["absent_untreated"].sum() - own["absent"].sum()) / own["possible"].sum())
    row = compared.loc["B_referred_within_area_matched_points"]
    assert row["truth"] == pytest.approx(np.mean(by_hand)) and row["truth"] > 0
    assert row["covered"] == (row["conf_low"] <= row["truth"] <= row["conf_high"])
    assert compared.loc["B_started_within_area_matched_points", "truth"] > row["truth"]
    assert compared.loc["A_eligible_within_area_same_rule_points", "truth"] < row["truth"]
    assert len(truth_comparison(found, table, None, trajectories=cohort.trajectories)) == 0
    with pytest.raises(DataError, match="no sessions in the truth"):
        true_effects(treated, trial["truth"].query("half_term < 5"), trajectories=cohort.trajectories)


def leading(table, low, high):
    changed = table.copy()
    own = changed["estimate_id"] == "B_referred_within_area_matched_points"
    changed.loc[own, ["conf_low", "conf_high", "estimate"]] = [low, high, (low + high) / 2]
    return changed


def agreeing(table, sign=1.0):
    changed = table.copy()
    others = changed["estimate_id"] != "B_referred_within_area_matched_points"
    changed.loc[others, "estimate"] = sign
    changed.loc[others, ["conf_low", "conf_high"]] = [sign - 0.5, sign + 0.5]
    return changed


@pytest.mark.parametrize(("low", "high", "others", "wording"), [
    (0.1, 2.0, 1.0, IMPROVED), (0.1, 2.0, -1.0, PROMISING), (-0.1, 2.0, 1.0, UNCLEAR), (0.0, 2.0, 1.0, UNCLEAR), (-2.0, -0.1, 1.0, WORSENED),
])
def test_the_verdict_follows_the_registered_rule(table, diagnostics, low, high, others, wording):
    found = verdict(agreeing(leading(table, low, high), others), diagnostics, rules=RULES)
    assert found.wording == wording and "no effect" not in found.reason
    if wording == PROMISING:
        assert "between areas" in found.reason and "effect of the offer" in found.reason


def test_a_check_whose_estimate_does_not_exist_has_not_passed(table, diagnostics):
    only = agreeing(leading(table, 0.1, 2.0)).query("design == 'within_area'")
    assert verdict(only, diagnostics, rules=RULES).wording == PROMISING
    assert verdict(only, diagnostics, rules=section("impact", robustness_checks=["same_rule_agrees"])).wording == IMPROVED


@pytest.mark.parametrize(("changes", "said"), [({"minimum_treated_schools": 7}, "6 schools with mentors where at least 7"), ({"minimum_df": 60}, "degrees of freedom")])
def test_where_the_design_criteria_fail_the_effect_cannot_be_estimated(cohort, matched, changes, said):
    rules = section("impact", **changes)
    found = trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, rules=rules)
    table, diagnostics = estimates_table(found, rules=rules), impact_diagnostics(found, rules=rules)
    result = verdict(leading(table, 1.0, 2.0), diagnostics, rules=rules)
    assert result.wording == NOT_ESTIMATED and FRAGILE in result.reason and said in result.reason
    assert table.loc[table["headline"], "warnings"].str.contains(FRAGILE).all()


def test_the_offer_leads_where_it_could_see_an_effect(cohort, matched):
    rules = section("impact", offer_leads_up_to=100.0)
    found = trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, rules=rules)
    diagnostics = impact_diagnostics(found, rules=rules)
    assert diagnostics.query("item == 'lead_estimand'")["value"].iloc[0] == 1.0
    assert diagnostics.query("item == 'lead_estimand'")["text"].str.contains("does not depend on how pupils were chosen").all()
    few = impact_diagnostics(found, rules=section("impact", offer_leads_up_to=0.01))
    assert few.query("item == 'lead_estimand'")["text"].str.contains("depends on how pupils were chosen").all()


def test_verdict_rows_carry_every_check(table, diagnostics):
    result = verdict(table, diagnostics, rules=RULES)
    rows = verdict_rows(result).set_index("item")
    assert rows.loc["verdict", "text"] in WORDINGS and len(rows) == 2 + len(RULES.robustness_checks)
    assert not pd.concat([diagnostics, rows.reset_index()]).duplicated(["analysis", "item"]).any()


def test_without_the_headline_design_nothing_is_estimated(cohort, matched):
    with pytest.raises(ContractError, match="has no matches"):
        trial_estimates(cohort.frame, matched.match_weights.query("design == 'between_areas'"), matched.unmatched, rules=RULES)


def test_nobody_starting_is_refused(cohort, matched):
    with pytest.raises(UnidentifiedError, match="no analysed referred pupil started"):
        trial_estimates(cohort.frame.assign(started=False), matched.match_weights, matched.unmatched, rules=RULES)


def test_found_items_are_frozen(found):
    with pytest.raises(AttributeError):
        found[0].share = 2.0
    assert replace(found[0], share=0.5).estimate == pytest.approx(2 * found[0].estimate)
