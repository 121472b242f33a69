"""Estimates by stack and year, by sessions, of other outcomes, and of persistent absence over a full academic year."""

import numpy as np
import pandas as pd
import pytest

from evaluation.design import OUTCOMES, build_cohort, match_cohort, offer_weights, outcome_rows, season_matched_windows
from evaluation.errors import DataError
from evaluation.impact import NotEstimated, annual_estimates, estimate_change, estimates_table, outcome_estimates, outcomes_table, part_estimates, trial_estimates
from evaluation.impact.comparisons import FIRST_YEAR, LATER_YEARS, RISK_WEIGHTED, SESSIONS
from evaluation.impact.decision import FRAGILE
from evaluation.impact.outcomes import ANNUAL, annual_changes
from evaluation.impact.views import annual_sentence, outcomes_view, parts_view
from evaluation.protocol.trial import SecondaryOutcome
from small_trial import panel_of, school_list, section

LEAD = "B_referred_within_area_matched"


@pytest.fixture(scope="module")
def parts(drawn):
    return {item.comparison.key: item for item in part_estimates(*drawn.compared, **drawn.given, opened=7)}


@pytest.fixture(scope="module")
def others(drawn):
    given = drawn.given | {"rules": section("impact", draws=999, secondary_outcomes=["persistent_absence", "severe_absence"])}
    return outcome_estimates(*drawn.compared, **given, outcomes=drawn.outcomes)


def test_stacks_add_up_to_the_pooled_effect(drawn, parts):
    lead = drawn.items[LEAD].change
    stacks = [item.change for key, item in parts.items() if key.startswith(f"{LEAD}_stack")]
    shown = {stack for change in stacks for stack in change.rows["stack"]}
    refused = [key for key in drawn.given["refused"] if key.startswith(f"{LEAD}_stack")]
    assert len(shown) + len(refused) == lead.rows.query("treated == 1")["stack"].nunique() and len(shown) >= 5
    rows = lead.rows.loc[lead.rows["stack"].isin(shown)]
    assert sum(change.n_treated for change in stacks) == (rows["treated"] == 1).sum()
    pooled = np.average([change.estimate for change in stacks], weights=[change.n_treated for change in stacks])
    assert pooled == pytest.approx(estimate_change(rows, within_area=True, weight="weight").estimate)


def test_the_first_year_is_that_in_which_the_programme_began(drawn):
    later = {item.comparison.key: item for item in part_estimates(*drawn.compared, **drawn.given, opened=7)}
    apart = {name: {part.comparison.part: set(part.change.rows["stack"]) for key, part in later.items() if key.startswith(f"{name}_")}
             for name in (LEAD, "A_eligible_within_area_risk_weighted")}
    for stacks in apart.values():
        # Support begins in the half-term after the window: the stack of half-term 12 starts in half-term 13, the next academic year.
        assert max(stacks[FIRST_YEAR]) == 11 and min(stacks[LATER_YEARS]) == 12
    assert not any(item.comparison.part == FIRST_YEAR for item in part_estimates(*drawn.compared, **drawn.given, opened=1))


def test_weights_by_sessions_are_those_of_the_baseline(drawn, parts):
    item = parts[f"{LEAD}_by_sessions"]
    assert item.comparison.weighting == SESSIONS and not item.comparison.headline
    frame = drawn.compared[0].copy()
    frame["followup_possible"] = np.where(frame.index % 2 == 0, 300, 100)  # mentoring may change what could be attended: it must not be a weight
    other = {i.comparison.key: i for i in part_estimates(frame, *drawn.compared[1:], **drawn.given, opened=7)}[f"{LEAD}_by_sessions"]
    assert other.estimate == pytest.approx(item.estimate)
    rows = item.change.rows
    sums = rows.groupby(["cell", "treated"])["weight"].sum().unstack()
    assert sums[0].to_numpy() == pytest.approx(sums[1].to_numpy())  # still about the treated
    heavier = drawn.compared[0].copy()
    heavier.loc[heavier["pupil_id"].isin(rows.query("treated == 1")["pupil_id"].iloc[::2]), "baseline_possible"] *= 3
    moved = {i.comparison.key: i for i in part_estimates(heavier, *drawn.compared[1:], **drawn.given, opened=7)}[f"{LEAD}_by_sessions"]
    assert abs(moved.estimate - item.estimate) > 1e-3


def test_rows_of_parts_say_what_they_are_and_never_lead(drawn, parts):
    table = estimates_table([*drawn.found, *parts.values()], rules=drawn.rules)
    assert table["estimate_id"].is_unique and not table.loc[table["part"].ne("all stacks") | table["weighting"].ne("pupils"), "headline"].any()
    first = table.loc[table["part"].eq(FIRST_YEAR) & table["test"].eq("randomisation")]
    assert first["p_floor"].notna().all() and table.loc[table["test"].eq("cr2_satterthwaite"), "p_floor"].isna().all()
    assert (table["n"] == table["n_treated"] + table["n_comparison"]).all() and (table["areas_treated"] <= table["areas"]).all()
    view = parts_view(table, design="within_area")
    assert view["pupils"].iloc[0] == "Referred" and view["part"].iloc[0] == "all stacks" and set(view["pupils"]) == {"Referred", "All eligible"}


def test_an_offer_effect_is_not_divided_by_the_share_of_hardly_anybody(drawn):
    frame = drawn.compared[0].copy()
    last = frame["stack"] == 8
    frame.loc[last & frame["mentor_school"], "referred_by_followup"] = False
    refused = NotEstimated()
    found = part_estimates(frame, *drawn.compared[1:], **(drawn.given | {"refused": refused}), opened=7)
    assert "A_referred_within_area_per_referred_stack_8" not in {item.comparison.key for item in found}
    assert "too few to divide" in refused["A_referred_within_area_per_referred_stack_8"]


def test_an_outcome_is_the_weighted_difference_of_its_changes(drawn, others):
    for name in ("persistent_absence", "severe_absence"):
        item = next(i for i in others if i.comparison.outcome == name and i.comparison.estimand == "B" and i.comparison.design == "within_area")
        measured = outcome_rows(drawn.cohort.frame, drawn.outcomes, name)[["stack", "pupil_id", "change"]]
        rows = drawn.items[LEAD].change.rows[["stack", "pupil_id", "treated", "weight"]].merge(measured, on=["stack", "pupil_id"])
        means = [np.average(part["change"], weights=part["weight"]) for _, part in rows.groupby("treated")]
        assert item.estimate == pytest.approx(means[1] - means[0]) and item.change.sign == 1
        assert "window rate" in " ".join(item.warnings)
    table = outcomes_table(others, rules=drawn.rules)
    assert table["scale"].eq("percentage points of pupils").all() and table["direction"].eq("absence").all() and not table["headline"].any()
    assert len(outcomes_view(pd.concat([drawn.estimates, table]), design="within_area")) == 2 * 3


def test_the_primary_outcome_estimated_as_another_is_the_same_number(drawn):
    outcomes = drawn.outcomes.query("outcome == 'absence_rate'").assign(outcome="absence_rate_official")
    found = outcome_estimates(*drawn.compared, **(drawn.given | {"rules": section("impact", secondary_outcomes=["absence_rate_official"])}), outcomes=outcomes)
    for item in found:
        own = drawn.items[item.comparison.key]
        assert item.estimate == pytest.approx(own.estimate) and item.std_error == pytest.approx(own.std_error)


def test_an_outcome_that_the_registers_do_not_hold_is_refused_by_name(drawn):
    given = drawn.given | {"rules": section("impact", secondary_outcomes=["severe_absence", "lateness_rate"])}
    with pytest.raises(DataError, match="lateness_rate") as told:
        outcome_estimates(*drawn.compared, **given, outcomes=drawn.outcomes)
    assert "severe_absence" in told.value.mend and "severe_absence" not in told.value.message


def test_every_outcome_of_the_cohort_may_be_registered():
    assert set(SecondaryOutcome.__args__) == set(OUTCOMES) - {"absence_rate"}


def test_annual_persistent_absence_by_hand():
    schools = school_list(X={"M": 7, "C": None})
    mild, bad = [3] * 6, [9] * 6  # 5% and 15% of sessions
    panel, _ = panel_of({
        "turned": {"school": "M", "absent": bad + bad + mild}, "fell": {"school": "C", "absent": mild + bad + bad}, "same": {"school": "C", "absent": bad * 3},
        "border": {"school": "C", "absent": mild * 2 + [6] * 6},  # 10% exactly is persistent
        "late": {"school": "C", "absent": [None, *bad[1:], *bad, *bad]}, "leaver": {"school": "C", "year_group": 9, "absent": bad * 3},
    }, schools)
    cohort = pd.DataFrame([(stack, pupil) for stack in (6, 8, 12) for pupil in panel["pupil_id"].unique()], columns=["stack", "pupil_id"]).assign(analysed=True)
    found = annual_changes(cohort, panel)
    # Stack 6 has its window in the year before support, stack 12 its start in the year after the window: neither has clean years on both sides.
    assert set(found["stack"]) == {8}
    assert found.set_index("pupil_id")[ANNUAL].to_dict() == {"turned": -100.0, "fell": 100.0, "same": 0.0, "border": 100.0}


def test_the_annual_estimate_says_whom_it_is_about_and_a_year_too_few_is_refused_with_its_reason(drawn):
    refused = NotEstimated()
    found = annual_estimates(*drawn.compared, **(drawn.given | {"refused": refused}), panel=drawn.trial["panel"])
    lead = next(item for item in found if item.comparison.key == LEAD)
    assert lead.change.rows["stack"].between(7, 11).all() and "twelve half-terms" in " ".join(lead.warnings)
    said = annual_sentence(outcomes_table(found, rules=drawn.rules), refused, design="within_area")
    assert f"about the {lead.change.n_treated} referred pupils with two full academic years" in said
    assert f"{abs(lead.estimate):.1f} percentage points {'fewer' if lead.estimate <= 0 else 'more'}" in said
    assert said.endswith("No clear evidence either way.") == bool(lead.interval[0] <= 0 <= lead.interval[1])
    short = annual_estimates(*drawn.compared, **(drawn.given | {"refused": refused}), panel=drawn.trial["panel"].query("half_term <= 17"))
    assert not short and "no pupil can be followed" in refused[f"{LEAD}_{ANNUAL}"]
    assert "cannot be said: no pupil can be followed" in annual_sentence(drawn.estimates, refused, design="within_area")


def test_a_stack_without_treated_pupils_has_no_row_and_a_design_without_any_is_refused(drawn):
    frame, weights, unmatched = drawn.compared
    gone = frame.loc[(frame["stack"] == 9) & frame["mentor_school"], "pupil_id"]
    left = weights.loc[~((weights["stack"] == 9) & weights["pupil_id"].isin(gone))]
    found = {item.comparison.key: item for item in part_estimates(frame, left, unmatched, **drawn.given, opened=7)}
    assert f"{LEAD}_stack_9" not in found and f"{LEAD}_stack_8" in found
    # Comparison pupils of a stack without treated ones take no part, and nobody is counted twice.
    pooled = {item.comparison.key: item for item in trial_estimates(frame, left, unmatched, **drawn.given)}[LEAD]
    assert 9 not in set(pooled.change.rows["stack"])


def test_matched_history_compares_pupils_of_one_history(drawn):
    frame, weights, unmatched = drawn.compared
    history = frame.assign(qualified_before=frame.index % 2)
    own = weights.assign(entries="matched_history")
    found = {item.comparison.key: item for item in trial_estimates(history, own, unmatched, **drawn.given)}["B_referred_within_area_same_rule"]
    rows = found.change.rows
    sums = rows.groupby(["area_code", "stack", "qualified_before", "treated"])["weight"].sum().unstack()
    assert sums[0].to_numpy() == pytest.approx(sums[1].to_numpy()) and found.comparison.method != RISK_WEIGHTED


def test_an_area_without_an_untreated_school_takes_no_part_and_its_pupils_are_counted(drawn):
    trial, windows = drawn.trial, season_matched_windows()
    schools = trial["schools"].query("not school_id.str.startswith('A1C')")
    panel, enrolments = (trial[name].loc[trial[name]["school_id"].isin(schools["school_id"])] for name in ("panel", "enrolments"))
    built = build_cohort(panel, enrolments, schools, trial["referrals"], rules=section("cohort", minimum_schools_per_arm=1), windows=windows)
    cohort = built.frame
    matched = match_cohort(cohort, built.trajectories, rules=section("matching", unmatched_tolerance=0.9), seed=1)
    found = trial_estimates(cohort, matched.match_weights, matched.unmatched, offer_weights=offer_weights(cohort, rules=section("matching")).frame,
                            rules=drawn.rules)
    for item in (item for item in found if item.comparison.within_area and item.share == 1.0):
        assert set(item.change.rows["area_code"]) == {"A0"}
        outside = cohort.query("analysed and entry == 'first' and mentor_school and area_code == 'A1'")
        assert item.unmatched >= (outside["referred"].sum() if item.comparison.estimand == "B" else len(outside)) > 0
        # Three schools with mentors are left: randomisation inference decides, and says that it is fragile.
        assert item.decision.test == "randomisation" and FRAGILE in " ".join(item.warnings)
