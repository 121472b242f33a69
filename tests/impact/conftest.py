"""A drawn trial carried to its estimates once, for the tests of the stage that uses them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from evaluation.design import build_cohort, match_cohort, measure_outcomes, offer_weights, season_matched_windows
from evaluation.impact import NotEstimated, estimates_table, impact_diagnostics, robustness_tests, trial_estimates
from small_trial import drawn_trial, section


@pytest.fixture(scope="session")
def drawn() -> SimpleNamespace:
    """Tables and estimates of a drawn trial with an effect: ``compared, given`` are the arguments of the estimating functions."""
    windows, rules = season_matched_windows(), section("impact", draws=999)
    trial = drawn_trial(21, pupils_per_school=80, effect=8.0, referred_later=0.15)
    cohort = build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=windows)
    matched = match_cohort(cohort.frame, cohort.trajectories, rules=section("matching", unmatched_tolerance=0.5), seed=1)
    compared = (cohort.frame, matched.match_weights, matched.unmatched)
    given = {"offer_weights": offer_weights(cohort.frame, rules=section("matching")).frame, "rules": rules, "seed": 3, "refused": NotEstimated()}
    found = trial_estimates(*compared, **given)
    tests = robustness_tests(found, matched.matches, rules=rules, seed=3)
    return SimpleNamespace(
        trial=trial, cohort=cohort, matched=matched, compared=compared, given=given, rules=rules, found=found, tests=tests,
        items={item.comparison.key: item for item in found}, outcomes=measure_outcomes(cohort, trial["panel"], windows=windows),
        estimates=estimates_table(found, rules=rules), diagnostics=impact_diagnostics(found, rules=rules, tests=tests))
