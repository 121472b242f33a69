"""What the programme cost and what it is worth."""

from .appraisal import appraisal_table, appraise, headline_plane, why_withheld
from .costs import check_costs, costs_by_perspective, pupil_counts, to_price_base
from .plane import draw_plane, draw_shares, mark_breaking_even, net_benefit
from .ratio import FiellerSet, fieller_set
from .strategies import StrategyComparison, compare_strategies
from .terms import DaysEffect, PupilCost, Valuation, days_effect, pupil_cost, referred_per_pupil, valuations
from .wording import cost_per_day_sentence, cost_words, headline_row, share_sentence, vat_note, worth_sentence

__all__ = [
    "DaysEffect", "FiellerSet", "PupilCost", "StrategyComparison", "Valuation", "appraisal_table", "appraise",
    "check_costs", "compare_strategies", "cost_per_day_sentence", "cost_words", "costs_by_perspective", "days_effect",
    "draw_plane", "draw_shares", "fieller_set", "headline_plane", "headline_row", "mark_breaking_even", "net_benefit",
    "pupil_cost", "pupil_counts", "referred_per_pupil", "share_sentence", "to_price_base", "valuations", "vat_note",
    "why_withheld", "worth_sentence",
]
