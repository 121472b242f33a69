"""Plain words for the codes that stand in result tables, used where a table is shown; the tables themselves keep their codes."""

from __future__ import annotations

import re
from itertools import product

COLUMNS = {
    "academic_year": "Academic year",
    "conf_low": "Interval from",
    "conf_high": "Interval to",
    "comparison_value": "Comparison",
    "df": "Degrees of freedom",
    "difference_sd": "Difference (standard deviations)",
    "effect_over_earlier": "Effect over earlier movement",
    "estimand": "Estimand",
    "event_time": "Half-terms from the window",
    "gap_p_two_sided": "p of the gap, either way",
    "max": "Highest",
    "min": "Lowest",
    "n_comparison": "Comparison pupils",
    "n_placebos": "Placebo authorities",
    "n_treated": "Pupils with mentors at school",
    "p_floor": "Smallest p possible",
    "p_greater": "p for a rise",
    "p_less": "p for a fall",
    "p_two_sided": "p, either way",
    "placebo_high": "Placebos to",
    "placebo_low": "Placebos from",
    "placebo_sd": "Spread of placebos (standard deviation)",
    "rank_by_size": "Place by size",
    "schools_comparison": "Comparison schools",
    "schools_treated": "Schools with mentors",
    "step_p_two_sided": "p of the step, either way",
    "treated_rank": "Place of the area",
    "treated_value": "The area",
    "unmatched": "Pupils without a match",
}
"""Headers of columns that nobody has named; others show their own name in words."""

_DESIGNS = {"within_area": "within areas", "between_areas": "between areas"}
_METHODS = {"matched": "matched", "risk_weighted": "weighted by referral risk", "same_rule": "same rule, no matching", "pre_means": "matched with baseline mean", "per_referred": "offer divided by share referred"}
_LEVELS = {"eligible": "all eligible", "referred": "referred", "started": "started"}
_ANALYSES = {
    f"{estimand}_{level}_{design}_{method}": f"{estimand}: {_LEVELS[level]}, {_DESIGNS[design]}, {_METHODS[method]}"
    for estimand, level, design, method in product("AB", _LEVELS, _DESIGNS, _METHODS)
}

VALUES = {
    **_DESIGNS,
    **_ANALYSES,
    "within_area_pre_means": "within areas, with baseline mean",
    "public_sector": "public sector",
    "persistent_absence": "persistent absence",
    "severe_absence": "severe absence",
    "mean_absence": "mean absence",
    # what stands behind an estimate
    "degrees_of_freedom": "degrees of freedom",
    "schools_treated": "schools with mentors",
    "smallest_detectable_effect": "smallest detectable effect",
    "smallest_detectable_days": "smallest detectable effect in days",
    "lead_estimand": "which effect leads",
    "decision_test": "decision test",
    "tests_disagree": "whether tests disagree",
    "effective_clusters": "effective schools",
    "largest_partial_leverage": "largest share of one school",
    "pre_trend_slope": "slope before the window",
    "pre_trend_detectable": "slope that would have been seen",
    "pre_trend_detectable_bias": "what such a slope would add",
    "honest_relative_magnitude_breakdown": "breakdown, relative to earlier steps",
    "honest_relative_magnitude_parallel": "effect if trends were parallel",
    "honest_smoothness_breakdown": "breakdown, change of slope",
    "honest_smoothness_parallel": "effect if trends were parallel",
    "effective_n_comparison": "effective number of comparison pupils",
    # measures of the appraisal
    "break_even_causal_share": "causal share",
    "break_even_cost": "cost",
    "break_even_days": "extra days",
    "break_even_multiple": "multiple of the days measured",
    "cost_per_extra_day": "cost per extra day",
    "cost_per_pupil": "cost per pupil",
    "extra_days": "extra days",
    "net_benefit": "net benefit",
    "probability_breaking_even": "probability of breaking even",
    "npsv": "net present social value",
    "npsv_per_pupil": "net present social value per pupil",
    "npsv_weighted_per_pupil": "net present social value per pupil, weighted",
    "benefit_cost_ratio": "benefits over costs",
    "share_out_of_persistent_absence": "pupils out of persistent absence",
    "share_out_of_severe_absence": "pupils out of severe absence",
    "cost_per_pupil_out_of_persistent_absence": "cost per pupil out of persistent absence",
    "cost_per_pupil_out_of_severe_absence": "cost per pupil out of severe absence",
    "delivery_model": "delivery model",
    "up_to": "up to",
    # values of a day and what they rest on
    "earnings, causal share": "lifetime earnings, the share taken as causal",
    "earnings, causal share uncertain": "lifetime earnings, the share itself uncertain",
    "earnings, all causal": "lifetime earnings, all taken as causal",
    "judgement": "a planning choice",
    # rows of the published table
    "other_year": "other years",
    "other_school_type": "other school types",
    "other_year_group": "other year groups",
    "used_unclassified": "used, unclassified",
    # characteristics
    "window_absence_rate": "absence in the window",
    "baseline_rate": "absence in the baseline",
    "persistent_before": "absent for 10% or more of the baseline",
    "severe_before": "absent for 50% or more of the baseline",
    # characteristics of schools
    "absence_rate": "absence",
    "persistent_share": "absent for 10% or more",
    "severe_share": "absent for 50% or more",
    "sex_male": "male",
    "fsm": "free school meals",
    "fsm_share": "share eligible for free school meals",
    "sen_none": "no special educational needs",
    "sen_support": "special educational needs: support",
    "sen_ehcp": "special educational needs: plan",
    "sen_share": "share with special educational needs",
    "idaci": "deprivation (IDACI)",
    "same_region": "in the same region",
}
"""Whole values of cells, by code."""

STANDINGS = {
    "S": "published value",
    "C": "calculated from a published source",
    "S2": "secondary source, not verified",
    "M": "general knowledge, not verified",
    "judgement": "a planning choice",
}
_ASSOCIATION = re.compile(r"(\w+), association\b(.*)")
_YEAR_GROUP = re.compile(r"year_group_(\d+)")
_PERCENT = re.compile(r"\bper ?cent\b")
_HYPHEN_FOR_MINUS = re.compile(r"(?:(?<=^)|(?<=[\s(\[=:;,]))-(?=£?\d)", re.M)


def column_words(column: str) -> str:
    """Return the header of a column that nobody has named."""
    if column in COLUMNS:
        return COLUMNS[column]
    words = column.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def value_words(value: str) -> str:
    """Return a cell's text for reading: a code in plain words, pounds as £; any other text as it is."""
    year = _YEAR_GROUP.fullmatch(value)
    if year is not None:
        return f"Year {year[1]}"
    linked = _ASSOCIATION.fullmatch(value)
    if linked is not None and linked[1] in STANDINGS:
        rest = re.sub(r"\((\w+)\)", lambda mark: f"({STANDINGS.get(mark[1], mark[1])})", linked[2])
        return f"an association ({STANDINGS[linked[1]]}){rest}"
    if value.startswith("GBP per "):
        return f"£ {value.removeprefix('GBP ')}"
    return VALUES.get(value, value)


def unit_words(unit: str) -> str:
    """Return a unit for reading: "%" for per cent, £ for GBP."""
    return _PERCENT.sub("%", unit).replace("GBP", "£")


def true_minus(text: str) -> str:
    """Replace each hyphen that stands for a minus, before a number or a pound sign, by the true minus sign.

    Parameters
    ----------
    text : str
        Such as "-£247 (-£640 to £147)". Hyphens inside words, ranges and dates stay.

    Returns
    -------
    str
    """
    return _HYPHEN_FOR_MINUS.sub("\u2212", text)
