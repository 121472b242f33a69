"""Who is compared with whom: cohort, windows, flow, matching, weights, balance."""

from evaluation.design.alternatives import Alternative, AlternativeMatches, match_alternatives, registered_alternatives
from evaluation.design.balance import Balance, balance
from evaluation.design.baseline import baseline_table, school_selection
from evaluation.design.cohort import Cohort, build_cohort
from evaluation.design.flow import attrition, cohort_flow, stack_counts
from evaluation.design.matching import Matching, match
from evaluation.design.offer import OfferWeights, offer_weights
from evaluation.design.outcomes import OUTCOMES, Outcome, measure_outcomes, outcome_rows, outcome_summary
from evaluation.design.overlap import risk_overlap, score_overlap
from evaluation.design.programmes import co_interventions, comparison_pool
from evaluation.design.registered import MatchedCohort, design_rows, match_cohort, matched_counts, school_balance, weighted_trajectories
from evaluation.design.regression_to_mean import regression_to_mean
from evaluation.design.timing import support_timing
from evaluation.design.weighting import ReferralRisk, Weighting, propensity_weights, referral_risk_weights
from evaluation.design.windows import Windows, season_matched_windows

__all__ = [
    "OUTCOMES", "Alternative", "AlternativeMatches", "Balance", "Cohort", "MatchedCohort", "Matching", "OfferWeights", "Outcome", "ReferralRisk",
    "Weighting", "Windows", "attrition", "balance", "baseline_table", "build_cohort", "co_interventions", "cohort_flow", "comparison_pool",
    "design_rows", "match", "match_alternatives", "match_cohort", "matched_counts", "measure_outcomes", "offer_weights", "outcome_rows",
    "outcome_summary", "propensity_weights", "referral_risk_weights", "registered_alternatives", "regression_to_mean", "risk_overlap",
    "school_balance", "school_selection", "score_overlap", "season_matched_windows", "stack_counts", "support_timing", "weighted_trajectories",
]
