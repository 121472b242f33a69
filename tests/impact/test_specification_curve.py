"""The specification curve: the registered branch is the headline, every other one is what it says, and order does not matter."""

import numpy as np
import pandas as pd
import pytest

from evaluation.design import build_cohort, match_alternatives, match_cohort, offer_weights, season_matched_windows
from evaluation.design.alternatives import alternative_of, registered_alternatives
from evaluation.design.registered import KEY
from evaluation.errors import ContractError
from evaluation.impact import estimate_change, estimates_table, trial_estimates
from evaluation.impact.specification_curve import specification_curve
from evaluation.impact.specification_test import HELD, REMATCHED, joint_test_of, rematched_estimate
from evaluation.inference import linear
from small_trial import drawn_trial, section

ALTERNATIVES = {"design": ["between_areas"], "entries": [], "method": ["same_rule", "entropy"], "distance": [], "caliper": [None], "ratio": [1], "covariates": {},
                "crossed": ["ratio"]}  # fmt: skip
CURVE = {"outcome": ["absence_rate_official"], "windows": [[2, 1], [1, 2], [0, 5]], "weighting": ["sessions"], "interval": ["CR1"], "crossed": ["weighting"]}
MATCHING = section("matching", unmatched_tolerance=0.5, alternatives=ALTERNATIVES)
RULES = section("impact", specification_curve=CURVE)


@pytest.fixture(scope="module")
def cohort():
    trial = drawn_trial(21, pupils_per_school=70, effect=8.0)
    return build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=season_matched_windows())


@pytest.fixture(scope="module")
def outcomes(cohort):
    """The official rate by hand: two sessions of every follow-up count otherwise."""
    rows = cohort.frame.loc[cohort.frame["analysed"]]
    return pd.DataFrame({"stack": rows["stack"], "pupil_id": rows["pupil_id"], "outcome": "absence_rate_official", "baseline_count": rows["baseline_absent"],
                         "baseline_of": rows["baseline_possible"], "window_count": 0, "window_of": 60, "followup_count": (rows["followup_absent"] - 2).clip(lower=0),
                         "followup_of": rows["followup_possible"]})  # fmt: skip


@pytest.fixture(scope="module")
def matches(cohort):
    return match_alternatives(cohort.frame, rules=MATCHING, seed=1)


@pytest.fixture(scope="module")
def curve(cohort, outcomes, matches):
    return specification_curve(cohort.frame, cohort.trajectories, outcomes, matches.alternatives, matches.weights, rules=RULES)


def branch(curve, **choices) -> pd.Series:
    """The one branch with these choices, the others as registered."""
    wanted = {"method": "nearest", "design": "within_area", "ratio": 2, "caliper": 0.2, "outcome": "absence_rate", "windows": "-4 to -2, 2 to 4", "weighting": "pupils",
              "interval": "CR2", **choices}  # fmt: skip
    found = curve.frame
    for name, value in wanted.items():
        found = found.loc[found[name].isna() if value is None else found[name] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_the_registered_branch_is_the_headline_to_the_last_bit(cohort, matches, curve):
    matched = match_cohort(cohort.frame, cohort.trajectories, rules=MATCHING, seed=1)
    offered = offer_weights(cohort.frame, rules=MATCHING).frame
    found = trial_estimates(cohort.frame, matched.match_weights, matched.unmatched, offer_weights=offered, rules=RULES)
    headline = estimates_table(found, rules=RULES).set_index("estimate_id").loc["B_referred_within_area_matched_points"]
    own = curve.frame.loc[curve.frame["registered"]]
    assert len(own) == 1
    for name in ("estimate", "std_error", "df", "n_treated", "n_comparison", "schools_treated", "schools_comparison", "unmatched", "effective_n"):
        assert own[name].item() == headline[name], name
    if headline["test"] == "cr2_satterthwaite":
        assert own[["conf_low", "conf_high", "p_value"]].iloc[0].tolist() == headline[["conf_low", "conf_high", "p_value"]].tolist()


def test_every_match_meets_the_crossed_choices_and_the_others_come_one_at_a_time(matches, curve):
    assert len(curve.frame) == 2 * len(matches.alternatives) + 5 and curve.frame["branch_id"].is_unique
    assert curve.frame["position"].tolist() == list(range(1, len(curve.frame) + 1))
    done = curve.frame["estimate"].dropna()
    assert done.is_monotonic_increasing and curve.frame["estimate"].isna().tolist() == [False] * len(done) + [True]


def test_the_order_of_branches_and_of_rows_changes_nothing(cohort, outcomes, matches, curve):
    shuffled = [frame.sample(frac=1.0, random_state=2) for frame in (cohort.frame, cohort.trajectories, outcomes, matches.alternatives, matches.weights)]
    other = specification_curve(*shuffled, rules=section("impact", specification_curve={**CURVE, "windows": CURVE["windows"][::-1]}))
    pd.testing.assert_frame_equal(other.frame, curve.frame, rtol=1e-9)


def test_other_outcomes_weightings_and_intervals_are_what_they_say(cohort, outcomes, matches, curve):
    own = matches.alternatives.loc[matches.alternatives["registered"], "match_id"].item()
    rows = matches.weights.loc[matches.weights["match_id"] == own].merge(cohort.frame, on=KEY).assign(treated=lambda f: f["treated"].astype(int))
    official = rows.assign(change=100 * (rows["followup_absent"] - 2).clip(lower=0) / rows["followup_possible"] - rows["baseline_rate"])
    assert branch(curve, outcome="absence_rate_official")["estimate"] == pytest.approx(estimate_change(official, within_area=True, weight="weight").estimate, rel=1e-12)
    sessions = rows.assign(weight=rows["weight"] * rows["baseline_possible"])
    assert branch(curve, weighting="sessions")["estimate"] == pytest.approx(estimate_change(sessions, within_area=True, weight="weight", scale=True).estimate, rel=1e-12)
    fit = linear(rows.assign(cell=rows["stack"].astype(str) + rows["area_code"]), "change", ["treated"], weights="weight", absorb=["cell"], cluster="school_id", kind="CR1")
    cr1 = branch(curve, interval="CR1")
    assert cr1["estimate"] == branch(curve)["estimate"] and cr1["std_error"] == pytest.approx(fit.frame["std_error"].item(), rel=1e-9)
    assert cr1["df"] == rows["school_id"].nunique() - 1


def test_other_windows_by_hand(cohort, matches, curve):
    own = matches.alternatives.loc[matches.alternatives["registered"], "match_id"].item()
    rate = cohort.trajectories.set_index([*KEY, "event_time"])["rate"].unstack()
    rows = matches.weights.loc[matches.weights["match_id"] == own].merge(cohort.frame, on=KEY).assign(treated=lambda f: f["treated"].astype(int))
    keys = pd.MultiIndex.from_frame(rows[KEY])
    rows["change"] = (rate[3] - rate[-3]).reindex(keys).to_numpy()
    expected = estimate_change(rows.dropna(subset="change"), within_area=True, weight="weight")
    found = branch(curve, windows="-3 to -3, 3 to 3")
    assert found["estimate"] == pytest.approx(expected.estimate, rel=1e-12) and found["season_matched"]
    assert not branch(curve, windows="-3 to -2, 2 to 3")["season_matched"]


def test_a_branch_that_cannot_be_estimated_is_kept_with_its_reason(curve):
    failed = branch(curve, windows="-5 to -1, 1 to 5")
    assert "-5, 5 lie outside the registered windows" in failed["failed"] and np.isnan(failed["estimate"])
    assert "1 more could not be estimated" in curve.sentence


def test_an_outcome_that_the_registers_do_not_hold_fails_alone(cohort, outcomes, matches):
    without = specification_curve(cohort.frame, cohort.trajectories, outcomes.iloc[:0], matches.alternatives, matches.weights, rules=RULES)
    assert branch(without, outcome="absence_rate_official")["failed"].startswith("the registers do not hold")
    assert without.frame["estimate"].isna().sum() == 2


def test_matches_without_exactly_one_registered_are_refused(cohort, outcomes, matches):
    with pytest.raises(ContractError, match="exactly one"):
        specification_curve(cohort.frame, cohort.trajectories, outcomes, matches.alternatives.assign(registered=True), matches.weights, rules=RULES)


def test_the_whole_curve_is_tested_over_its_branches_within_areas(curve):
    tests = joint_test_of(curve, draws=999, seed=1)
    within = curve.frame["estimate"].notna() & (curve.frame["design"] == "within_area")
    assert (tests["branches"] == within.sum()).all() and (tests["left_out"] == (~within).sum()).all()
    assert tests.set_index("statistic").loc["median effect", "value"] == pytest.approx(curve.frame.loc[within, "estimate"].median())
    assert (tests["p_value"] <= 0.1).all()  # an effect of 8 points on those who start


def test_alternatives_are_read_back_from_their_rows(matches):
    listed = {alternative.match_id: alternative for alternative in registered_alternatives(MATCHING)}
    assert all(alternative_of(line) == listed[line["match_id"]] for _, line in matches.alternatives.iterrows())


def test_on_demand_every_branch_is_matched_anew_under_every_assignment(cohort, outcomes, matches):
    few = matches.alternatives["match_id"].str.contains("same rule") | matches.alternatives["registered"]
    plain = section("impact", specification_curve={name: [] for name in CURVE})
    curve = specification_curve(cohort.frame, cohort.trajectories, outcomes, matches.alternatives.loc[few], matches.weights, rules=plain)
    held, anew = (joint_test_of(curve, draws=7, seed=1, rematch=how) for how in (None, MATCHING))
    assert held["method"].unique() == HELD and anew["method"].item() == REMATCHED and anew["assignments"].item() == 8
    same_rule = next(b for b in curve.branches if "same rule" in b.match_id)
    given = same_rule.change.rows.groupby("school_id")["treated"].first()
    alternative = alternative_of(curve.frame.set_index("branch_id").loc[same_rule.branch_id])
    again = rematched_estimate(same_rule, alternative, given, rules=MATCHING, seed=1)
    assert again == pytest.approx(same_rule.change.estimate, rel=1e-12)
    dealt = given.copy()
    area = given.index.str[:2] == "A0"
    dealt[area] = 1 - given[area]
    by_hand = same_rule.change.rows.drop(columns=["weight", "cell"]).assign(treated=lambda f: f["school_id"].map(dealt))
    assert rematched_estimate(same_rule, alternative, dealt, rules=MATCHING, seed=1) == pytest.approx(estimate_change(by_hand, within_area=True).estimate, rel=1e-12)
