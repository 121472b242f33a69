"""What difference it made: change, event study, estimates, verdict, and what was delivered."""

from evaluation.impact.bacon import BaconDecomposition, bacon_decomposition
from evaluation.impact.change import ChangeEstimate, days_over_window, estimate_change, smallest_detectable_effect
from evaluation.impact.complier import AndersonRubinSet, ComplierEffect, complier_effect
from evaluation.impact.diagnostics import impact_diagnostics, side_by_side, stacks_apart
from evaluation.impact.effect_sizes import hedges_g
from evaluation.impact.effect_sizes_reml import RandomIntercept, intraclass_correlation
from evaluation.impact.estimate import Estimate
from evaluation.impact.estimates import estimates_table, trial_estimates
from evaluation.impact.event_study import event_studies, event_study
from evaluation.impact.group_time import group_time_effects
from evaluation.impact.group_time_aggregate import AggregatedEffects
from evaluation.impact.group_time_pretest import PreTest
from evaluation.impact.group_time_result import GroupTimeEffects
from evaluation.impact.honest import HonestBounds, honest_bounds
from evaluation.impact.imputation import ImputationFit, imputation_effects
from evaluation.impact.sun_abraham import SunAbraham, sun_abraham_effects
from evaluation.impact.truth import truth_comparison
from evaluation.impact.two_way import TwoWayFit, two_way_effects
from evaluation.impact.verdict import Verdict, verdict, verdict_rows

__all__ = ["AggregatedEffects", "AndersonRubinSet", "BaconDecomposition", "ChangeEstimate", "ComplierEffect", "Estimate",
           "GroupTimeEffects", "HonestBounds", "ImputationFit", "PreTest", "RandomIntercept", "SunAbraham", "TwoWayFit", "Verdict",
           "bacon_decomposition", "complier_effect", "days_over_window", "estimate_change", "estimates_table", "event_studies",
           "event_study", "group_time_effects", "hedges_g", "honest_bounds", "impact_diagnostics", "imputation_effects",
           "intraclass_correlation", "side_by_side", "smallest_detectable_effect", "stacks_apart", "sun_abraham_effects", "trial_estimates",
           "truth_comparison", "two_way_effects", "verdict", "verdict_rows"]
