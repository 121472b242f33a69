"""What difference it made: change, event study, estimates, verdict, and what was delivered."""

from evaluation.impact.bacon import BaconDecomposition, bacon_decomposition
from evaluation.impact.change import ChangeEstimate, days_over_window, estimate_change, smallest_detectable_effect
from evaluation.impact.comparisons import Comparison, Estimated
from evaluation.impact.complier import AndersonRubinSet, ComplierEffect, complier_effect
from evaluation.impact.cross_checks import group_time_check, two_way_weights
from evaluation.impact.decision import Decision, decide
from evaluation.impact.diagnostics import impact_diagnostics, pupils_behind, side_by_side, stacks_apart
from evaluation.impact.effect_sizes import hedges_g
from evaluation.impact.effect_sizes_reml import RandomIntercept, intraclass_correlation
from evaluation.impact.estimate import Estimate
from evaluation.impact.estimates import NotEstimated, estimates_table, part_estimates, trial_estimates
from evaluation.impact.event_study import EventStudyFit, event_studies, event_study, event_study_table
from evaluation.impact.group_time import group_time_effects
from evaluation.impact.group_time_aggregate import AggregatedEffects
from evaluation.impact.group_time_pretest import PreTest
from evaluation.impact.group_time_result import GroupTimeEffects
from evaluation.impact.honest import HonestBounds, honest_bounds
from evaluation.impact.imputation import ImputationFit, imputation_effects
from evaluation.impact.limitations import limitations
from evaluation.impact.outcomes import annual_estimates, outcome_estimates, outcomes_table
from evaluation.impact.robustness import robustness_tests
from evaluation.impact.selection import referral_selection
from evaluation.impact.sensitivity import sensitivity_bracket
from evaluation.impact.specification_curve import SpecificationCurve, specification_curve
from evaluation.impact.specification_test import JointTest, joint_test, joint_test_of
from evaluation.impact.sun_abraham import SunAbraham, sun_abraham_effects
from evaluation.impact.trends import Trends, trends
from evaluation.impact.truth import truth_comparison
from evaluation.impact.two_way import TwoWayFit, two_way_effects
from evaluation.impact.verdict import Verdict, check_lines, checks_table, own_checks, verdict, verdict_rows

__all__ = ["AggregatedEffects", "AndersonRubinSet", "BaconDecomposition", "ChangeEstimate", "Comparison",
           "ComplierEffect", "Decision", "Estimate", "Estimated", "EventStudyFit", "GroupTimeEffects", "HonestBounds",
           "ImputationFit", "JointTest", "NotEstimated", "PreTest", "RandomIntercept", "SpecificationCurve",
           "SunAbraham", "Trends", "TwoWayFit", "Verdict", "annual_estimates", "bacon_decomposition", "check_lines", "checks_table",
           "complier_effect", "days_over_window", "decide", "estimate_change", "estimates_table", "event_studies",
           "event_study", "event_study_table", "group_time_check", "group_time_effects", "hedges_g", "honest_bounds",
           "impact_diagnostics", "imputation_effects", "intraclass_correlation", "joint_test", "joint_test_of",
           "limitations", "outcome_estimates", "outcomes_table", "own_checks", "part_estimates", "referral_selection", "robustness_tests",
           "sensitivity_bracket", "side_by_side", "smallest_detectable_effect", "specification_curve", "stacks_apart",
           "sun_abraham_effects", "trends", "trial_estimates", "truth_comparison", "two_way_effects",
           "two_way_weights", "verdict", "verdict_rows"]
