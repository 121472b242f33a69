"""The registered designs: who may be compared with whom, entries, tolerance, and what is said about those left over."""

import numpy as np
import pandas as pd
import pytest

from evaluation.design import build_cohort, design_rows, match_cohort, matched_counts, offer_weights, school_balance, season_matched_windows, weighted_trajectories
from evaluation.design.registered import LEFT_OUT, OUTSIDE, PRE_MEANS
from evaluation.errors import DataError, ParameterError, UnidentifiedError
from small_trial import drawn_trial, section

WINDOWS = season_matched_windows()


@pytest.fixture(scope="module")
def cohort():
    trial = drawn_trial(11, pupils_per_school=70)
    return build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=WINDOWS)


@pytest.fixture(scope="module")
def matched(cohort):
    return match_cohort(cohort.frame, cohort.trajectories, rules=section("matching", unmatched_tolerance=0.5), seed=1)


def joined(cohort, matched):
    return matched.matches.merge(cohort.frame, on=["stack", "pupil_id"], validate="many_to_one")


def test_every_set_keeps_its_design(cohort, matched):
    rows = joined(cohort, matched)
    assert set(rows["design"]) == {"within_area", "between_areas", PRE_MEANS}
    for design, part in rows.groupby("design"):
        sets = part.groupby("set_id")
        assert sets[["stack", "stratum", "half_terms_measured"]].nunique().eq(1).all().all()
        assert sets["treated"].sum().eq(1).all()
        treated, comparison = part.loc[part["treated"]], part.loc[~part["treated"]]
        assert treated["referred"].all() and not comparison["mentor_school"].any()
        assert part["analysed"].all() and part["entry"].eq("first").all()
        if design == "between_areas":
            assert comparison["between_pool"].all() and not set(comparison["area_code"]) & set(treated["area_code"])
        else:
            assert sets["area_code"].nunique().eq(1).all() and part["within_area"].all()


def test_comparison_weights_add_up_to_the_treated_of_each_stack_and_area(cohort, matched):
    rows = matched.match_weights.query("design == 'within_area'").merge(cohort.frame, on=["stack", "pupil_id"])
    sums = rows.groupby(["stack", "area_code", "treated"])["weight"].sum().unstack()
    pd.testing.assert_series_equal(sums[True], sums[False], check_names=False)


def test_matched_and_unmatched_are_all_the_referred(cohort, matched):
    for design in ("within_area", "between_areas"):
        referred = design_rows(cohort.frame, design)["treated"].sum()
        heads = matched.matches.query("design == @design and treated").shape[0]
        assert heads + matched.unmatched.query("design == @design")["pupils"].sum() == referred


def test_the_window_and_the_baseline_are_shown_apart_in_the_balance_table(matched):
    roles = matched.balance.query("design == 'within_area'").groupby("role")["covariate"].apply(list)
    assert roles["eligibility window, not a target"] == ["window_absence_rate"]
    assert len(roles["baseline, not matched on"]) == 3
    assert matched.balance["standardised_by"].str.contains("before adjustment").all()


def test_trajectories_are_weighted_means_of_pupil_rates(cohort, matched):
    table = weighted_trajectories(cohort.trajectories, matched.match_weights)
    rows = matched.match_weights.query("design == 'within_area' and not treated").merge(cohort.trajectories.query("event_time == 2"), on=["stack", "pupil_id"])
    expected = (rows["weight"] * rows["rate"]).sum() / rows["weight"].sum()
    got = table.query("design == 'within_area' and event_time == 2 and arm == 'comparison'")["mean_absence_rate"].iloc[0]
    assert got == pytest.approx(expected)


def test_a_risk_set_takes_every_window_of_both_arms(cohort):
    first, every = (design_rows(cohort.frame, "within_area", entries=e) for e in ("first", "risk_set"))
    assert set(first["entry"]) == {"first"} and set(every["entry"]) == {"first", "later"}
    assert every.query("treated == 0 and entry == 'later'").shape[0] > 0
    for entries in ("first", "risk_set"):
        rules = section("matching", designs=["within_area"], entries=entries, unmatched_tolerance=1.0, pre_means_check=False)
        assert match_cohort(cohort.frame, cohort.trajectories, rules=rules, seed=1).match_weights["entries"].eq(entries).all()


def test_above_the_tolerance_the_leading_design_is_refused_and_strata_are_named(cohort):
    lonely = cohort.frame.copy()
    lonely.loc[~lonely["mentor_school"] & lonely["stack"].le(9), "analysed"] = False
    with pytest.raises(UnidentifiedError, match=r"strata are without comparison pupils .* above the tolerance of 20%"):
        match_cohort(lonely, cohort.trajectories, rules=section("matching"), seed=1)
    # Below the tolerance the same pupils are counted, and the rest goes on.
    kept = match_cohort(lonely, cohort.trajectories, rules=section("matching", unmatched_tolerance=1.0), seed=1)
    assert kept.unmatched.query("design == 'within_area'")["reason"].str.contains("no comparison unit in its exact stratum").any()


def test_a_later_design_that_fails_is_left_out_and_says_why(cohort):
    no_pool = cohort.frame.assign(between_pool=cohort.frame["mentor_school"])
    result = match_cohort(no_pool, cohort.trajectories, rules=section("matching", unmatched_tolerance=0.5), seed=1)
    assert "between_areas" not in result.matchings
    reasons = result.unmatched.query("design == 'between_areas'")["reason"]
    assert reasons.str.startswith(LEFT_OUT).all() and reasons.str.contains("no comparison pupil is left").all()
    with pytest.raises(UnidentifiedError, match="no comparison pupil is left"):
        match_cohort(no_pool, cohort.trajectories, rules=section("matching", designs=["between_areas"]), seed=1)


def test_referred_pupils_of_areas_on_another_clock_are_counted_and_never_matched(cohort):
    other = cohort.frame["area_code"] == "A1"
    apart = cohort.frame.assign(between_pool=cohort.frame["between_pool"] & ~other)
    result = match_cohort(apart, cohort.trajectories, rules=section("matching", unmatched_tolerance=0.5), seed=1)
    lost = result.unmatched.query("design == 'between_areas' and reason == @OUTSIDE['between_pool']")
    referred = apart["analysed"] & apart["referred"] & (apart["entry"] == "first")
    assert set(lost["area_code"]) == {"A1"} and lost["pupils"].sum() == (referred & other).sum() > 0
    assert set(joined(cohort, result).query("design == 'between_areas' and treated")["area_code"]) == {"A0"}
    assert not design_rows(apart, "between_areas", referred_only=False)["area_code"].eq("A1").any()
    # They are outside the design, not failures of matching: the tolerance does not count them.
    assert not match_cohort(apart, cohort.trajectories, rules=section("matching", unmatched_tolerance=0.4), seed=1).unmatched["reason"].str.startswith(LEFT_OUT).any()


def test_the_caliper_is_shown_in_both_spreads_of_the_score(cohort, matched):
    counts = matched_counts(matched).set_index("design")
    assert counts["caliper_all"].tolist() == pytest.approx([0.2] * 3)
    matching = matched.matchings["within_area"]
    rows = design_rows(cohort.frame, "within_area").loc[matching.score.index]
    strata = rows.groupby(["area_code", "stack", "stratum", "half_terms_measured"]).ngroup()
    squares = sum(((part - part.mean()) ** 2).sum() for _, part in matching.score.groupby(strata))
    within = np.sqrt(squares / (len(rows) - strata.nunique()))
    assert counts.loc["within area", "caliper_within"] == pytest.approx(matching.caliper / within) and counts.loc["within area", "caliper_within"] > 0.2
    free = match_cohort(cohort.frame, cohort.trajectories, rules=section("matching", caliper=None, unmatched_tolerance=0.5), seed=1)
    assert matched_counts(free)[["caliper_all", "caliper_within"]].isna().all().all()


def test_an_area_without_enough_schools_is_not_compared_within_itself():
    trial = drawn_trial(4, pupils_per_school=15)
    rules = section("cohort", minimum_schools_per_arm=4)
    cohort = build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=rules, windows=WINDOWS)
    assert not cohort.frame["within_area"].any()
    with pytest.raises(UnidentifiedError, match="no referred pupil is left"):
        match_cohort(cohort.frame, cohort.trajectories, rules=section("matching"), seed=1)


def test_one_seed_gives_one_result_whatever_the_order_of_rows(cohort):
    rules = section("matching", unmatched_tolerance=0.5)
    first = match_cohort(cohort.frame, cohort.trajectories, rules=rules, seed=7)
    second = match_cohort(cohort.frame.sample(frac=1.0, random_state=2), cohort.trajectories.sample(frac=1.0, random_state=2), rules=rules, seed=7)
    pd.testing.assert_frame_equal(first.matches, second.matches)


def test_a_characteristic_that_one_arm_lacks_costs_only_the_pupils_who_have_it(cohort):
    changed = cohort.frame.copy()
    referred = changed["referred"] & (changed["entry"] == "first") & changed["analysed"]
    changed.loc[~changed["mentor_school"] & (changed["sen"] == "support"), "sen"] = "ehcp"
    lost = int((referred & changed["within_area"] & (changed["sen"] == "support")).sum())
    result = match_cohort(changed, cohort.trajectories, rules=section("matching", unmatched_tolerance=1.0), seed=1)
    said = result.unmatched.query("design == 'within_area' and reason == 'no comparison unit with the same sen'")["pupils"].sum()
    assert lost > 0 and said == lost


def test_stacks_that_coincide_with_areas_do_not_stop_the_score(cohort):
    apart = cohort.frame.copy()
    apart.loc[(apart["area_code"] == "A0") & (apart["stack"] > 9), "analysed"] = False
    apart.loc[(apart["area_code"] == "A1") & (apart["stack"] <= 9), "analysed"] = False
    result = match_cohort(apart, cohort.trajectories, rules=section("matching", designs=["within_area"], unmatched_tolerance=0.9), seed=1)
    assert set(result.matchings["within_area"].model.coefficients.index) & {"stack_14", "area_code_A1"}
    assert result.matches["stack"].nunique() > 3


def first_referred(frame: pd.DataFrame) -> pd.Series:
    analysed = frame["analysed"] & (frame["entry"] == "first") & frame["referred"] & frame["within_area"]
    return pd.Series(frame.index == frame.index[analysed][0], index=frame.index)


@pytest.mark.parametrize(("spoil", "rules", "error", "said"), [
    (lambda f: f.assign(referred=f["referred"] & first_referred(f)), {}, UnidentifiedError, "separate treated from comparison units"),
    (lambda f: f.assign(idaci=f["idaci"] + 10 * f["referred"]), {}, UnidentifiedError, "separate treated from comparison units"),
    (lambda f: f.assign(double=2 * f["idaci"] + 1), {"score_covariates": ["idaci", "double"]}, UnidentifiedError, "`double` is a combination"),
    (lambda f: f.assign(idaci=f["idaci"].mask(first_referred(f))), {}, DataError, "`idaci` has 1 missing value"),
    (lambda f: f.assign(idaci=f["idaci"].mask(first_referred(f), np.inf)), {}, DataError, "`idaci` has an infinite value"),
    (lambda f: f.assign(sex="male", fsm=True), {"score_covariates": ["sex", "fsm"]}, UnidentifiedError, "none of sex, fsm varies|no characteristic varies"),
    (lambda f: pd.concat([f, f.head(1)]), {}, DataError, "stands twice in stack"),
    (lambda f: f, {"score_covariates": ["idaci", "sexx"]}, ParameterError, "`sexx` is no column.*did you mean `sex`"),
    (lambda f: f, {"exact_columns": ["happiness"]}, ParameterError, "`happiness` is no column of the cohort"),
], ids=["one referred", "separated", "collinear", "missing", "infinite", "constant", "twice", "near match", "unknown"])  # fmt: skip
def test_what_no_score_can_be_made_of_is_refused_by_name(cohort, spoil, rules, error, said):
    frame = spoil(cohort.frame)
    for call in (lambda r: match_cohort(frame, cohort.trajectories, rules=r, seed=1), lambda r: offer_weights(frame, rules=r)):
        with pytest.raises(error, match=said):
            call(section("matching", unmatched_tolerance=1.0, **rules))


def test_a_caliper_that_drops_everyone_and_too_few_comparison_pupils_are_refused_with_counts(cohort):
    with pytest.raises(UnidentifiedError, match=r"of \d+ referred pupils .* with no comparison unit within the caliper"):
        match_cohort(cohort.frame, cohort.trajectories, rules=section("matching", caliper=1e-6), seed=1)
    comparison = cohort.frame.index[~cohort.frame["mentor_school"]]
    few = cohort.frame.loc[cohort.frame["mentor_school"] | cohort.frame.index.isin(comparison[::12])]
    with pytest.raises(UnidentifiedError, match="above the tolerance of 20%"):
        match_cohort(few, cohort.trajectories, rules=section("matching"), seed=1)


def test_row_labels_that_repeat_change_nothing(cohort):
    rules = section("matching", designs=["within_area"], unmatched_tolerance=0.5)
    pd.testing.assert_frame_equal(match_cohort(cohort.frame.set_axis([0] * len(cohort.frame)), cohort.trajectories, rules=rules, seed=1).matches,
                                  match_cohort(cohort.frame, cohort.trajectories, rules=rules, seed=1).matches)


def test_a_matched_history_sets_pupils_beside_others_who_met_the_rule_as_often(cohort):
    rules = section("matching", designs=["within_area"], entries="matched_history", unmatched_tolerance=1.0, pre_means_check=False)
    result = match_cohort(cohort.frame, cohort.trajectories, rules=rules, seed=1)
    rows = joined(cohort, result)
    assert rows.groupby("set_id")["qualified_before"].nunique().eq(1).all() and rows["qualified_before"].max() == 0  # here only first entrants are referred
    again = cohort.frame.assign(referred=cohort.frame["referred"] | (cohort.frame["mentor_school"] & cohort.frame["analysed"] & (cohort.frame["qualified_before"] == 2)))
    rows = match_cohort(again, cohort.trajectories, rules=rules, seed=1).matches.merge(again, on=["stack", "pupil_id"])
    assert rows.groupby("set_id")["qualified_before"].nunique().eq(1).all() and set(rows["qualified_before"]) == {0, 2}
    # All eligible pupils enter first whatever is registered.
    assert design_rows(again, "within_area", entries="matched_history", referred_only=False)["entry"].eq("first").all()


def test_the_baseline_of_each_school_stands_beside_its_own_matches(cohort, matched):
    table = school_balance(matched.matches, cohort.frame, cohort.trajectories)
    rows = joined(cohort, matched).query("design == 'within_area'")
    school = rows.loc[rows["treated"], "school_id"].iloc[0]
    sets = rows.loc[rows["treated"] & (rows["school_id"] == school), "set_id"]
    theirs = rows.loc[rows["set_id"].isin(sets) & ~rows["treated"]]
    whole = table.query("design == 'within_area' and school_id == @school and event_time.isna()").iloc[0]
    assert whole["comparison_rate"] == pytest.approx(np.average(theirs["baseline_rate"], weights=theirs["weight"])) and whole["comparison"] == len(theirs)
    assert whole["referred_rate"] == pytest.approx(rows.loc[rows["treated"] & (rows["school_id"] == school), "baseline_rate"].mean()) and whole["referred"] == len(sets)
    at = cohort.trajectories.query("event_time == -3").merge(theirs[["stack", "pupil_id", "weight"]], on=["stack", "pupil_id"]).dropna(subset="rate")
    assert table.query("design == 'within_area' and school_id == @school and event_time == -3")["comparison_rate"].iloc[0] == pytest.approx(np.average(at["rate"], weights=at["weight"]))
    assert set(table.query("design == 'within_area'")["event_time"].dropna()) == {-4, -3, -2}
