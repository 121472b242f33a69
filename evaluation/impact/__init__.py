"""What difference it made: change, event study, estimates, verdict, and what was delivered."""

from evaluation.impact.change import ChangeEstimate, days_over_window, estimate_change, smallest_detectable_effect
from evaluation.impact.diagnostics import impact_diagnostics, side_by_side, stacks_apart
from evaluation.impact.estimates import estimates_table, trial_estimates
from evaluation.impact.event_study import event_studies, event_study
from evaluation.impact.truth import truth_comparison
from evaluation.impact.verdict import Verdict, verdict, verdict_rows

__all__ = ["ChangeEstimate", "Verdict", "days_over_window", "estimate_change", "estimates_table", "event_studies", "event_study", "impact_diagnostics",
           "side_by_side", "smallest_detectable_effect", "stacks_apart", "trial_estimates", "truth_comparison", "verdict", "verdict_rows"]
