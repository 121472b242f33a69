"""Overlap of scores and risks: shares of each group by bin, nobody lost."""

import pytest

from evaluation.design import build_cohort, match_cohort, offer_weights, risk_overlap, score_overlap, season_matched_windows
from small_trial import drawn_trial, section


@pytest.fixture(scope="module")
def study():
    trial = drawn_trial(11, pupils_per_school=60, pool_area=False)
    cohort = build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=season_matched_windows())
    rules = section("matching", designs=["within_area"], unmatched_tolerance=0.5)
    return cohort.frame, match_cohort(cohort.frame, cohort.trajectories, rules=rules, seed=1), offer_weights(cohort.frame, rules=rules)


def test_scores_of_everyone_who_has_one_are_in_a_bin(study):
    cohort, matched, _ = study
    bins = score_overlap(matched, cohort, "within_area", entries="first")
    weights = matched.match_weights.query("design == 'within_area'")
    assert bins["matched_pupils"].sum() == (~weights["treated"]).sum() and bins["referred_pupils"].sum() >= weights["treated"].sum()
    assert bins["referred_pupils"].sum() + bins["comparison_pupils"].sum() == len(matched.matchings["within_area"].score)
    assert bins[["referred", "comparison", "matched"]].sum().tolist() == pytest.approx([100.0] * 3)
    assert (bins["score_to"].iloc[:-1].to_numpy() == bins["score_from"].iloc[1:].to_numpy()).all()
    # Matching brings comparison pupils nearer to the referred.
    distance = {group: (bins["referred"] - bins[group]).abs().sum() for group in ("comparison", "matched")}
    assert distance["matched"] < distance["comparison"]


def test_risks_of_both_arms_are_in_a_bin(study):
    _, _, offer = study
    bins = risk_overlap(offer.frame, "within_area")
    known = offer.frame["referral_risk"].notna()
    assert bins["mentored_pupils"].sum() == (known & offer.frame["treated"]).sum() and bins["comparison_pupils"].sum() == (known & ~offer.frame["treated"]).sum()
    assert bins[["mentored", "comparison"]].sum().tolist() == pytest.approx([100.0] * 2)
