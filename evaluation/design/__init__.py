"""Who is compared with whom: cohort, windows, flow, matching, weights, balance."""

from evaluation.design.balance import Balance, balance
from evaluation.design.cohort import Cohort, build_cohort
from evaluation.design.flow import attrition, cohort_flow, stack_counts
from evaluation.design.matching import Matching, match
from evaluation.design.registered import MatchedCohort, design_rows, match_cohort, matched_counts, weighted_trajectories
from evaluation.design.weighting import ReferralRisk, Weighting, propensity_weights, referral_risk_weights
from evaluation.design.windows import Windows, season_matched_windows

__all__ = [
    "Balance", "Cohort", "MatchedCohort", "Matching", "ReferralRisk", "Weighting", "Windows", "attrition", "balance", "build_cohort", "cohort_flow",
    "design_rows", "match", "match_cohort", "matched_counts", "propensity_weights", "referral_risk_weights", "season_matched_windows", "stack_counts",
    "weighted_trajectories",
]
