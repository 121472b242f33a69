"""The estimates table, diagnostics, event study, verdict and truth of a small drawn trial."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.design import build_cohort, design_rows, match_cohort, offer_weights, season_matched_windows
from evaluation.errors import ContractError, DataError, UnidentifiedError
from evaluation.impact import (
    check_lines, checks_table, estimate_change, estimates_table, event_study, impact_diagnostics, own_checks, stacks_apart, trial_estimates, truth_comparison, verdict,
    verdict_rows,
)
from evaluation.impact.estimates import DAYS, FRAGILE, POINTS, specification_digest
from evaluation.impact.truth import true_effects
from evaluation.impact.verdict import IMPROVED, NOT_ESTIMATED, PROMISING, UNCLEAR, WORDINGS, WORSENED
from small_trial import drawn_trial, section

WINDOWS = season_matched_windows()
RULES = section("impact")


@pytest.fixture(scope="module")
def trial():
    return drawn_trial(21, pupils_per_school=80, effect=8.0, referred_later=0.15)


@pytest.fixture(scope="module")
def cohort(trial):
    return build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=WINDOWS)


@pytest.fixture(scope="module")
def matched(cohort):
    return match_cohort(cohort.frame, cohort.trajectories, rules=section("matching", unmatched_tolerance=0.5), seed=1)


@pytest.fixture(scope="module")
def offered(cohort):
    return offer_weights(cohort.frame, rules=section("matching")).frame


@pytest.fixture(scope="module")
def found(cohort, matched, offered):
    return trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, offer_weights=offered, rules=RULES)


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


def test_days_and_derived_rows_follow_from_points(trial, table, found):
    wide = table.assign(key=table["estimate_id"].str.replace("_(points|days)$", "", regex=True)).pivot(index="key", columns="scale", values=["estimate", "std_error"])
    for item in found:
        key = item.comparison.key
        assert wide.loc[key, ("estimate", DAYS)] == pytest.approx(wide.loc[key, ("estimate", POINTS)] / 100 * item.change.followup_sessions / 2)
    rows = {item.comparison.key: item for item in found}
    referred, started = rows["B_referred_within_area_matched"], rows["B_started_within_area_matched"]
    share = referred.change.rows.query("treated == 1")["started"].mean()
    assert started.estimate == pytest.approx(referred.estimate / share) and "inherits the bias" in " ".join(started.warnings)
    offer, per_referred = rows["A_eligible_within_area_risk_weighted"], rows["A_referred_within_area_per_referred"]
    treated = offer.change.rows.query("treated == 1")
    own = treated.merge(trial["referrals"], on="pupil_id").query("stack < referral_half_term <= stack + 4")
    weighted = own["weight"].sum() / treated["weight"].sum()
    assert abs(weighted - len(own) / len(treated)) > 1e-4  # the share is weighted as the effect is
    assert per_referred.std_error == pytest.approx(offer.std_error / weighted)
    assert per_referred.estimate == pytest.approx(offer.estimate / weighted)
    # Mentors took on more pupils by the end of the follow-up than in the half-term after the window, and the rows say whom they are about.
    said = table.set_index("estimate_id")[["about", "pupils", "warnings"]]
    assert said.loc["A_referred_within_area_per_referred_days", "pupils"] == len(own) > treated["referred"].sum()
    assert "by the end of the follow-up" in said.loc["A_referred_within_area_per_referred_days", "about"]
    assert "half-term after the window" in said.loc["B_referred_within_area_matched_days", "about"]
    assert f"({len(own)})" in said.loc["A_referred_within_area_per_referred_days", "warnings"]
    for row in ("A_referred_within_area_per_referred_days", "B_started_within_area_matched_points"):
        assert "as known" in said.loc[row, "warnings"]


def test_intervals_are_those_of_the_registered_level(cohort, matched, offered, table):
    narrow = section("impact", confidence_level=0.8)
    other = estimates_table(trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, offer_weights=offered, rules=narrow), rules=narrow)
    assert ((other["conf_high"] - other["conf_low"]) < (table["conf_high"] - table["conf_low"])).all()
    assert (other["specification_digest"] != table["specification_digest"]).all() and specification_digest(RULES) == table["specification_digest"].iloc[0]
    significant = table["p_value"] < 0.05
    assert (significant == ((table["conf_low"] > 0) | (table["conf_high"] < 0))).all()


def test_everyone_eligible_stands_in_the_offer_whether_referred_or_not(cohort, found):
    items = {item.comparison.key: item for item in found}
    expected = cohort.frame.query("analysed and entry == 'first' and mentor_school and within_area").shape[0]
    for key in ("A_eligible_within_area_same_rule", "A_eligible_within_area_risk_weighted"):
        assert items[key].change.n_treated + items[key].unmatched == expected
        assert not items[key].change.rows.query("treated == 1")["referred"].all()
    # Both arms weigh the same in every cell, so that the estimate is about pupils as likely to be referred.
    rows = items["A_eligible_within_area_risk_weighted"].change.rows
    sums = rows.groupby(["cell", "treated"])["weight"].sum().unstack()
    assert sums[0].to_numpy() == pytest.approx(sums[1].to_numpy())


def test_the_before_and_after_figure_stands_beside_what_would_have_happened_anyway(diagnostics, table, found):
    rows = diagnostics.query("analysis == 'B_referred_within_area_matched'").set_index("item")
    assert "not an effect" in rows.loc["change_treated", "text"]
    gap = rows.loc["change_treated", "value"] - rows.loc["change_comparison", "value"]
    # Matched comparison pupils weigh as much as the treated of every stack and area, so that the difference is the effect.
    assert gap == pytest.approx(table.set_index("estimate_id").loc["B_referred_within_area_matched_points", "estimate"])
    assert rows.loc["change_comparison", "value"] == pytest.approx(-np.average(found[0].change.rows.query("treated == 0")["change"],
                                                                              weights=found[0].change.rows.query("treated == 0")["weight"]))
    assert rows.loc["design_criteria_hold", "value"] == 1.0
    assert diagnostics.set_index(["analysis", "item"]).index.is_unique


def test_event_study_takes_the_baseline_off(cohort, matched, table):
    study = event_study(cohort.frame, cohort.trajectories, matched.match_weights, design="within_area", confidence_level=0.95)
    gaps = study.frame.set_index("event_time")
    assert list(gaps.index) == list(range(-4, 5)) and gaps.loc[0, "role"] == "eligibility window"
    assert gaps.loc[[-4, -3, -2], "estimate"].mean() == pytest.approx(0.0, abs=1e-9)  # every pupil has the same possible sessions
    effect = table.set_index("estimate_id").loc["B_referred_within_area_matched_points", "estimate"]
    assert -gaps.loc[[2, 3, 4], "estimate"].mean() == pytest.approx(effect)
    assert ((gaps["conf_low"] < gaps["estimate"]) & (gaps["estimate"] < gaps["conf_high"])).all()


def test_truth_is_the_effect_on_the_pupils_analysed(trial, cohort, found, table):
    compared = truth_comparison(found, table, trial["truth"], trajectories=cohort.trajectories).set_index("estimate_id")
    item = found[0]
    treated = item.change.rows.query("treated == 1")


    def by_hand(pupils) -> tuple[float, float]:
        """Mean points and days that mentoring saved these pupils in the half-terms measured."""
        saved = pupils.merge(trial["truth"], on="pupil_id").query("stack + 2 <= half_term <= stack + 4").groupby(["stack", "pupil_id"])[
            ["absent_untreated", "absent", "possible"]].sum()
        sessions, weight = saved["absent_untreated"] - saved["absent"], pupils.set_index(["stack", "pupil_id"])["weight"].reindex(saved.index)
        return np.average(100 * sessions / saved["possible"], weights=weight), np.average(sessions, weights=weight) / 2

    row = compared.loc["B_referred_within_area_matched_points"]
    points, days = by_hand(treated)
    assert row["truth"] == pytest.approx(points) and row["truth"] > 0
    assert compared.loc["B_referred_within_area_matched_days", "truth"] == pytest.approx(days)
    offer = next(item for item in found if item.comparison.key == "A_eligible_within_area_risk_weighted").change.rows.query("treated == 1")
    for key, pupils in (("A_eligible_within_area_risk_weighted", offer), ("A_referred_within_area_per_referred", offer.loc[offer["referred_by_followup"]])):
        points, days = by_hand(pupils)
        assert compared.loc[f"{key}_points", "truth"] == pytest.approx(points) and compared.loc[f"{key}_days", "truth"] == pytest.approx(days)
    assert row["covered"] == (row["conf_low"] <= row["truth"] <= row["conf_high"])
    assert compared.loc["B_started_within_area_matched_points", "truth"] > row["truth"]
    assert compared.loc["A_eligible_within_area_risk_weighted_points", "truth"] < row["truth"]
    assert len(truth_comparison(found, table, None, trajectories=cohort.trajectories)) == 0
    # Days are sessions saved, whatever share of a pupil's possible sessions they are: never mean points times mean sessions.
    uneven = trial["truth"].copy()
    uneven.loc[uneven["pupil_id"].isin(treated["pupil_id"].iloc[::2]), ["possible", "possible_untreated"]] *= 2
    other = truth_comparison(found, table, uneven, trajectories=cohort.trajectories).set_index("estimate_id")["truth"]
    assert other["B_referred_within_area_matched_days"] == pytest.approx(compared.loc["B_referred_within_area_matched_days", "truth"])
    assert other["B_referred_within_area_matched_points"] < 0.9 * row["truth"]
    with pytest.raises(DataError, match="no sessions in the truth"):
        true_effects(treated, trial["truth"].query("half_term < 5"), trajectories=cohort.trajectories)


def test_first_and_later_stacks_stand_beside_the_headline(cohort, found, diagnostics, table):
    apart = stacks_apart(found, rules=RULES).set_index("stacks")
    lead = found[0].change.rows
    opening = lead["stack"] == 6  # every area of the drawn trial opens in half-term 7
    for stacks, rows in (("first stack of each area", lead.loc[opening]), ("later stacks", lead.loc[~opening])):
        expected = estimate_change(rows, within_area=True, weight="weight")
        assert apart.loc[stacks, "estimate"] == pytest.approx(expected.estimate)
        assert apart.loc[stacks, "n_treated"] == expected.n_treated and apart.loc[stacks, "conf_low"] < expected.estimate < apart.loc[stacks, "conf_high"]
    assert apart["n_treated"].sum() == found[0].change.n_treated
    weighted = np.average(apart["estimate"], weights=apart["n_treated"])
    assert table.set_index("estimate_id").loc["B_referred_within_area_matched_points", "estimate"] == pytest.approx(weighted)
    rows = diagnostics.set_index(["analysis", "item"])
    own = rows.loc["B_referred_within_area_matched"]
    assert own.loc["first_stacks_estimate", "value"] == apart["estimate"].iloc[0] and own.loc["later_stacks_n_treated", "value"] == apart["n_treated"].iloc[1]
    assert "never in its place" in own.loc["later_stacks_estimate", "text"]
    assert "understated" in rows.loc[("study", "limitation_first_entry"), "text"] and "lasting" in rows.loc[("study", "limitation_first_entry"), "text"]
    # A group with pupils of one school alone has no estimate, and says nothing else.
    lonely = replace(found[0], change=replace(found[0].change, rows=lead.loc[~(opening & (lead["treated"] == 1)) | (lead["school_id"] == "A0M0")]))
    assert stacks_apart([lonely], rules=RULES).set_index("stacks")["estimate"].isna().tolist() == [True, False]


def test_comparisons_without_matching_use_the_registered_entries(cohort):
    rules = section("matching", designs=["within_area"], entries="risk_set", unmatched_tolerance=1.0, pre_means_check=False)
    matched = match_cohort(cohort.frame, cohort.trajectories, rules=rules, seed=1)
    offered = offer_weights(cohort.frame, rules=rules).frame
    items = {item.comparison.key: item for item in trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, offer_weights=offered, rules=RULES)}
    for key, referred_only in (("A_eligible_within_area_same_rule", False), ("B_referred_within_area_same_rule", True)):
        rows = design_rows(cohort.frame, "within_area", entries="risk_set", referred_only=referred_only)
        # All eligible pupils always enter at their first window: at later ones pupils referred before would be missing from one arm alone.
        assert items[key].change.rows["entry"].eq("later").any() == referred_only and items[key].change.n_comparison + items[key].change.n_treated <= len(rows)
        assert items[key].change.estimate == pytest.approx(estimate_change(rows, within_area=True).estimate)
    assert impact_diagnostics(list(items.values()), rules=RULES)["item"].isin(["limitation_risk_set"]).sum() == 1


def test_pupils_outside_a_comparison_are_counted_in_words_that_fit_it(cohort, matched, offered):
    apart = cohort.frame.assign(between_pool=cohort.frame["between_pool"] & (cohort.frame["area_code"] != "A1"))
    items = {item.comparison.key: item for item in trial_estimates(apart, matched.match_weights, matched.unmatched, offer_weights=offered, rules=RULES)}
    offer, same, lead = (items[f"{key}"] for key in ("A_eligible_between_areas_same_rule", "B_referred_between_areas_same_rule", "B_referred_within_area_matched"))
    first = apart.query("analysed and entry == 'first' and mentor_school and area_code == 'A1'")
    assert offer.unmatched == len(first) + offer.change.left_out and same.unmatched == first["referred"].sum() + same.change.left_out
    for item in (offer, same):
        assert f"not about {item.unmatched} pupils" in " ".join(item.warnings) and "matched pupils" not in " ".join(item.warnings)
    assert "about matched pupils only" in " ".join(lead.warnings)


def test_pupils_measured_over_fewer_half_terms_are_counted(found):
    rows = found[0].change.rows.assign(half_terms_measured=3)
    for treated, pupils in ((1, 4), (0, 7)):
        rows.loc[rows.index[rows["treated"] == treated][:pupils], "half_terms_measured"] = 2
    shorter = [replace(found[0], change=replace(found[0].change, rows=rows))]
    said = impact_diagnostics(shorter, rules=RULES).set_index(["analysis", "item"]).loc[("B_referred_within_area_matched", "measured_shorter")]
    assert said["value"] == 4 and said["text"].startswith(f"of {found[0].change.n_treated} pupils")


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


COMPARED = section("impact", robustness_checks=["between_areas_agrees", "same_rule_agrees", "offer_does_not_contradict"])
"""The checks that need no other table than the estimates."""


def judged(table, diagnostics, rules=COMPARED):
    return verdict(table, diagnostics, rules=rules, checks=checks_table(own_checks(table, diagnostics), rules=rules))


@pytest.mark.parametrize(("low", "high", "others", "wording"), [
    (0.1, 2.0, 1.0, IMPROVED), (0.1, 2.0, -1.0, PROMISING), (-0.1, 2.0, 1.0, UNCLEAR), (0.0, 2.0, 1.0, UNCLEAR), (-2.0, -0.1, 1.0, WORSENED),
])
def test_the_verdict_follows_the_registered_rule(table, diagnostics, low, high, others, wording):
    found = judged(agreeing(leading(table, low, high), others), diagnostics)
    assert found.wording == wording and "no effect" not in found.reason
    if wording == PROMISING:
        assert "between areas" in found.reason and "the interval of the offer's effect is not wholly below zero" in found.reason


def test_an_offer_below_zero_contradicts_only_where_its_whole_interval_is(table, diagnostics):
    rules, own = section("impact", robustness_checks=["offer_does_not_contradict"]), table["estimate_id"] == "A_eligible_within_area_risk_weighted_points"
    for high, wording in ((0.1, IMPROVED), (0.0, IMPROVED), (-0.1, PROMISING)):
        changed = leading(table, 0.1, 2.0)
        changed.loc[own, ["estimate", "conf_low", "conf_high"]] = [-0.5, -1.1, high]
        assert judged(changed, diagnostics, rules).wording == wording


def test_a_check_whose_estimate_does_not_exist_has_not_passed(table, diagnostics):
    only = agreeing(leading(table, 0.1, 2.0)).query("design == 'within_area'")
    assert judged(only, diagnostics).wording == PROMISING
    assert judged(only, diagnostics, section("impact", robustness_checks=["same_rule_agrees"])).wording == IMPROVED


def test_a_registered_check_that_was_not_made_has_not_passed(table, diagnostics):
    high, own = agreeing(leading(table, 0.1, 2.0)), own_checks(table, diagnostics).query("name != 'between_areas_agrees'")
    listed = checks_table(own, rules=COMPARED).set_index("name")
    assert not listed.loc["between_areas_agrees", "passed"] and "not made" in listed.loc["between_areas_agrees", "text"]
    assert verdict(high, diagnostics, rules=COMPARED, checks=listed.reset_index()).wording == PROMISING
    other = pd.DataFrame([{"name": "a check beside", "passed": False, "value": 1.0, "unit": "points", "text": "it does not hold"}])
    whole = checks_table(pd.concat([own_checks(high, diagnostics), other]), rules=COMPARED)
    assert whole["registered"].tolist() == [True, True, True, False]  # shown, but the verdict does not depend on it
    assert verdict(high, diagnostics, rules=COMPARED, checks=whole).wording == IMPROVED
    with pytest.raises(ContractError, match="two rows"):
        checks_table(pd.concat([other, other]), rules=COMPARED)


@pytest.mark.parametrize(("changes", "said"), [({"minimum_treated_schools": 7}, "at least 7 schools with mentors, not 6"), ({"minimum_df": 60}, "degrees of freedom")])
def test_where_the_design_criteria_fail_randomisation_decides_and_the_verdict_says_that_it_is_fragile(cohort, matched, offered, changes, said):
    rules = section("impact", robustness_checks=COMPARED.robustness_checks, **changes)
    found = trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, offer_weights=offered, rules=rules)
    table, diagnostics = estimates_table(found, rules=rules), impact_diagnostics(found, rules=rules)
    leads = table.loc[table["headline"]]
    assert leads["test"].eq("randomisation").all() and leads["p_floor"].notna().all() and leads["warnings"].str.contains(FRAGILE).all()
    result = judged(agreeing(leading(table, 1.0, 2.0)), diagnostics, rules)
    assert result.wording == IMPROVED and FRAGILE in result.reason and said in result.reason
    hopeless = agreeing(leading(table, 1.0, 2.0)).assign(p_floor=0.06)
    assert judged(hopeless, diagnostics, rules).wording == NOT_ESTIMATED and "told from zero" in judged(hopeless, diagnostics, rules).reason


def test_an_interval_that_does_not_end_includes_zero_on_that_side(table, diagnostics):
    assert judged(agreeing(leading(table, np.nan, 2.0)), diagnostics).wording == UNCLEAR
    open_above = agreeing(table.copy())
    open_above.loc[open_above["estimate_id"] == "B_referred_within_area_matched_points", ["estimate", "conf_low", "conf_high"]] = [1.0, 0.2, np.nan]
    assert judged(open_above, diagnostics).wording == IMPROVED


def test_tests_that_disagree_are_said_with_the_verdict(table, found, diagnostics):
    key = found[0].comparison.key
    said = pd.DataFrame([(key, "tests_disagree", 1.0, "1 yes, 0 no", "The tests do not agree.")], columns=["analysis", "item", "value", "unit", "text"])
    assert judged(leading(table, 0.1, 2.0), pd.concat([diagnostics, said])).reason.endswith("; the tests do not agree.")
    elsewhere = said.assign(analysis="A_eligible_within_area_risk_weighted")
    assert "agree." not in judged(leading(table, 0.1, 2.0), pd.concat([diagnostics, elsewhere])).reason


def test_the_offer_leads_where_it_could_see_an_effect(found):
    rules = section("impact", offer_leads_up_to=100.0)
    diagnostics = impact_diagnostics(found, rules=rules)
    assert diagnostics.query("item == 'lead_estimand'")["value"].iloc[0] == 1.0
    assert diagnostics.query("item == 'lead_estimand'")["text"].str.contains("does not depend on how pupils were chosen").all()
    few = impact_diagnostics(found, rules=section("impact", offer_leads_up_to=0.01))
    assert few.query("item == 'lead_estimand'")["text"].str.contains("depends on how pupils were chosen").all()


def test_verdict_rows_carry_every_check(table, diagnostics):
    result = judged(table, diagnostics)
    rows = verdict_rows(result).set_index("item")
    assert rows.loc["verdict", "text"] in WORDINGS and len(rows) == 2 + len(COMPARED.robustness_checks)
    assert not pd.concat([diagnostics, rows.reset_index()]).duplicated(["analysis", "item"]).any()


def test_without_the_headline_design_nothing_is_estimated(cohort, matched, offered):
    with pytest.raises(ContractError, match="has no matches"):
        trial_estimates(cohort.frame, matched.match_weights.query("design == 'between_areas'"), matched.unmatched, offer_weights=offered, rules=COMPARED)


def test_nobody_starting_is_refused(cohort, matched, offered):
    with pytest.raises(UnidentifiedError, match="no analysed referred pupil started"):
        trial_estimates(cohort.frame.assign(started=False), matched.match_weights, matched.unmatched, offer_weights=offered, rules=COMPARED)


def test_found_items_are_frozen(found):
    with pytest.raises(AttributeError):
        found[0].share = 2.0
    assert replace(found[0], share=0.5).estimate == pytest.approx(2 * found[0].estimate)


def test_a_check_that_cannot_tell_is_named_with_the_verdict_and_is_a_limitation(table, diagnostics):
    own = own_checks(table, diagnostics).assign(passed=[False, True, True])
    own.loc[0, "text"] = "placebo cohort: too imprecise to say"
    rules = section("impact", robustness_checks=list(own["name"]))
    result = verdict(leading(table, 0.1, 2.0), diagnostics, rules=rules, checks=checks_table(own, rules=rules))
    assert result.wording == PROMISING and result.reason.endswith("but these registered checks were too imprecise to say: placebo cohort")
    assert "- Could not tell: placebo cohort" in check_lines(result) and check_lines(result).count("- Passed") == 2
