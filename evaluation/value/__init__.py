"""What the programme cost and what it is worth."""

from .appraisal import appraisal_table, appraise, headline_plane, terms_of, why_withheld
from .costs import check_costs, comparable_costs, costs_by_perspective, present_values, pupil_counts, to_price_base
from .curves import Acceptability, acceptability
from .decision import acceptability_sentence, acceptability_table, frontier_sentence, information_sentence, information_table, strategy_draws
from .discounting import decision_population, discount_factor, distributional_weight
from .eef import cost_band, eef_cost, pupils_served
from .information import InformationValue, value_of_information, why_no_information_value
from .inputs import input_table, switching_values
from .persistence import HalfLife, estimate_half_life, persistence_factor
from .plane import draw_plane, draw_shares, mark_breaking_even, net_benefit
from .planning import planning_sentences, planning_table
from .ratio import FiellerSet, fieller_set
from .sensitivity import Case, flip_sentence, half_life_sentence, headline_case, placebo_biases, scenario_table, set_up_share, tornado_table
from .strategies import StrategyComparison, compare_strategies
from .terms import (
    AppraisalSpec, DaysEffect, PresentValue, PupilCost, Valuation, annual_effect, counted, days_effect, feasible_days, pupil_cost,
    referred_per_pupil, valuations,
)
from .wording import brought_out_sentence, cost_per_day_sentence, cost_words, headline_row, share_sentence, vat_note, worth_sentence

__all__ = [
    "Acceptability", "AppraisalSpec", "Case", "DaysEffect", "FiellerSet", "HalfLife", "InformationValue", "PresentValue",
    "PupilCost", "StrategyComparison", "Valuation", "acceptability", "acceptability_sentence", "acceptability_table",
    "annual_effect", "appraisal_table", "appraise", "brought_out_sentence", "check_costs", "comparable_costs",
    "compare_strategies", "cost_band", "cost_per_day_sentence", "cost_words", "costs_by_perspective", "counted", "days_effect",
    "decision_population", "discount_factor", "distributional_weight", "draw_plane", "draw_shares", "eef_cost",
    "estimate_half_life", "feasible_days", "fieller_set", "flip_sentence", "frontier_sentence", "half_life_sentence",
    "headline_case", "headline_plane", "headline_row", "information_sentence", "information_table", "input_table",
    "mark_breaking_even", "net_benefit", "persistence_factor", "placebo_biases", "planning_sentences", "planning_table",
    "present_values", "pupil_cost", "pupil_counts", "pupils_served", "referred_per_pupil", "scenario_table", "set_up_share",
    "share_sentence", "strategy_draws", "switching_values", "terms_of", "to_price_base", "tornado_table", "valuations",
    "value_of_information", "vat_note", "why_no_information_value", "why_withheld", "worth_sentence",
]
