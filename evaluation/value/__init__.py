"""What the programme cost and what it is worth."""

from .curves import Acceptability, acceptability
from .appraisal import appraisal_table, appraise, headline_plane, why_withheld
from .costs import check_costs, costs_by_perspective, pupil_counts, to_price_base
from .discounting import decision_population, discount_factor, distributional_weight
from .eef import cost_band, eef_cost, pupils_served
from .information import InformationValue, value_of_information, why_no_information_value
from .persistence import HalfLife, estimate_half_life, persistence_factor
from .plane import draw_plane, draw_shares, mark_breaking_even, net_benefit
from .ratio import FiellerSet, fieller_set
from .strategies import StrategyComparison, compare_strategies
from .terms import DaysEffect, PupilCost, Valuation, days_effect, pupil_cost, referred_per_pupil, valuations
from .wording import cost_per_day_sentence, cost_words, headline_row, share_sentence, vat_note, worth_sentence

__all__ = [
    "Acceptability", "DaysEffect", "FiellerSet", "HalfLife", "InformationValue", "PupilCost", "StrategyComparison", "Valuation",
    "acceptability", "appraisal_table", "appraise", "check_costs", "compare_strategies", "cost_band", "cost_per_day_sentence",
    "cost_words", "costs_by_perspective", "days_effect", "decision_population", "discount_factor", "distributional_weight",
    "draw_plane", "draw_shares", "eef_cost", "estimate_half_life", "fieller_set", "headline_plane", "headline_row",
    "mark_breaking_even", "net_benefit", "persistence_factor", "pupil_cost", "pupil_counts", "pupils_served",
    "referred_per_pupil", "share_sentence", "to_price_base", "valuations", "value_of_information", "vat_note",
    "why_no_information_value", "why_withheld", "worth_sentence",
]
