"""What the cost bought: extra days, cost per extra day, net benefit, and what would have to be true to break even.

Incremental means programme minus usual practice throughout; usual practice is taken to cost nothing extra. Days
are those of the measured follow-up window, with nothing after it: no yearly figure is projected here. Costs and days
fall in the same few years; only present values, which say so, are discounted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .plane import draw_plane, mark_breaking_even, net_benefit, worth_by_draw
from .ratio import FiellerSet, fieller_set
from .terms import (
    REFERRED, AppraisalSpec, DaysEffect, PresentValue, PupilCost, Valuation, annual_effect, counted, days_effect, pupil_cost, referred_per_pupil, same_pupils,
)
from .text import number

if TYPE_CHECKING:
    import pandas as pd

PER_DAY = "GBP per extra day"
PER_PUPIL = "GBP per pupil"
COLUMNS = ("scenario", "measure", "value", "conf_low", "conf_high", "set_form", "unit", "withheld", "standing")
DAYS_PER_PUPIL = "days per pupil over the measured window"


def appraise(effect: DaysEffect, cost: PupilCost, values: Sequence[Valuation], *, draws: int, seed: int, correlation: float = 0.0,
             present: PresentValue | None = None, weight: float | None = None) -> pd.DataFrame:
    """Set what was gained against what it cost, for pupils of one denominator in one perspective.

    Parameters
    ----------
    effect : DaysEffect
    cost : PupilCost
        Over the same pupils.
    values : sequence of Valuation
        Those that the cost's perspective does not count are left out.
    draws, seed, correlation
        See :func:`draw_plane`.
    present : PresentValue, optional
        Gives net present social value, in total and per pupil, and the ratio of benefits to costs.
    weight : float, optional
        Distributional weight of a pound of benefit; the weighted present value then stands beside the unweighted one.

    Returns
    -------
    DataFrame
        One row per scenario and measure: ``perspective, denominator, estimand, scenario, measure, value, conf_low,
        conf_high, set_form, unit, conf_level, price_base, cost_basis, referred_per_pupil, withheld, standing,
        estimate_id``. Scenario "any" holds measures that need no value of a day. ``withheld`` says why a single
        number is not given; the confidence set stands beside it all the same. A scenario whose causal share is
        uncertain holds the mean value of a day and the probability of breaking even alone.

    Raises
    ------
    ContractError
        The cost and the effect are over different pupils.

    References
    ----------
    HM Treasury, The Green Book; Stinnett & Mullahy (1998), Medical Decision Making 18 (net benefit).
    """
    import pandas as pd

    same_pupils(effect, cost)
    ratio = ratio_set(effect, cost)
    plane = draw_plane(effect, cost, draws=draws, seed=seed, correlation=correlation)
    rows = _measures_without_value(effect, cost, ratio, plane)
    for value in counted(values, cost.perspective):
        fixed = value.share_range is None
        rows += _present_values(effect, cost, value, present, weight) if fixed and present is not None else []
        rows += _measures_at_value(effect, cost, ratio, plane, value) if fixed else _measures_at_uncertain_share(plane, value, seed)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.assign(perspective=cost.perspective, denominator=cost.denominator, estimand=effect.estimand,
                        conf_level=effect.conf_level, price_base=cost.price_base, cost_basis=cost.basis,
                        referred_per_pupil=cost.referred_per_pupil, estimate_id=effect.estimate_id)


def ratio_set(effect: DaysEffect, cost: PupilCost) -> FiellerSet:
    """The confidence set of cost per extra day; every number where the effect's interval has no end."""
    if not effect.bounded:
        return FiellerSet("all", None, None, effect.conf_level)
    return fieller_set(cost.amount, cost.std_error, effect.extra_days, effect.std_error, df=effect.df, conf_level=effect.conf_level)


ANNUAL = {"annual_persistent_absence": "persistent_absence", "annual_severe_absence": "severe_absence"}
"""Outcomes over full academic years, and what a pupil is then out of. A window's rate is not a year's, so no window is among them."""


def _brought_out(estimates: pd.DataFrame, effect: DaysEffect, cost: PupilCost) -> pd.DataFrame:
    """Pupils brought out of persistent, and of severe, absence over a full academic year, and what each cost; no rows where not estimated."""
    import pandas as pd

    rows = []
    for outcome, name in ANNUAL.items():
        share = annual_effect(estimates, effect, outcome=outcome)
        if share is None:
            continue
        same_pupils(share, cost)
        ratio = ratio_set(share, cost)
        why = why_withheld(share, ratio, what="pupils", out_of=name)
        own = (
            _row("any", f"share_out_of_{name}", share.extra_days, "share of pupils over full academic years", low=share.conf_low, high=share.conf_high, form="interval"),
            _ratio_row("any", f"cost_per_pupil_out_of_{name}", cost.amount / share.extra_days if share.extra_days else math.nan, ratio,
                       "GBP per pupil brought out", why),
        )
        rows += [(*row, share.estimate_id) for row in own]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "estimate_id"])
    return table.assign(perspective=cost.perspective, denominator=cost.denominator, estimand=effect.estimand, conf_level=effect.conf_level,
                        price_base=cost.price_base, cost_basis=cost.basis, referred_per_pupil=cost.referred_per_pupil)


def why_withheld(effect: DaysEffect, ratio: FiellerSet, *, what: str = "days", out_of: str = "") -> str | None:
    """Why a single cost per extra day, or per pupil brought out of absence, would mislead, or None when it may be given."""
    level = f"{100 * effect.conf_level:g}%"
    if not effect.bounded:
        return f"The {level} interval of the effect has no end, so a single ratio could be any size and either sign"
    if effect.includes_zero:
        ends = f"{number(effect.conf_low, 2)} to {number(effect.conf_high, 2)} days"
        if what == "pupils":
            ends = f"{number(100 * effect.conf_low, 1)} to {number(100 * effect.conf_high, 1)} in 100 pupils out of {out_of.replace('_', ' ')}"
        return f"The {level} interval of the effect ({ends}) includes zero, so a single ratio could be any size and either sign"
    if effect.extra_days < 0 and what == "pupils":
        return f"More pupils were in {out_of.replace('_', ' ')}, so there is none to divide the cost by"
    if effect.extra_days < 0:
        return "Pupils attended fewer days, so there is no extra day to divide the cost by"
    if not ratio.bounded:
        return f"The {level} confidence set of the ratio has no end, so a single ratio would mislead"
    return None


def _row(scenario: str, measure: str, value: float | None, unit: str, *, low: float | None = None, high: float | None = None,
         form: str | None = None, withheld: str | None = None, standing: str | None = None) -> tuple:
    if low is not None and high is not None and not (math.isfinite(low) and math.isfinite(high)):
        low, high, form = None, None, "all"
    return (scenario, measure, value, low, high, form, unit, withheld, standing)


def _ratio_row(scenario: str, measure: str, value: float, found: FiellerSet, unit: str, withheld: str | None, standing: str | None = None) -> tuple:
    return _row(scenario, measure, None if withheld else value, unit, low=found.low, high=found.high, form=found.form,
                withheld=withheld, standing=standing)


def _measures_without_value(effect: DaysEffect, cost: PupilCost, ratio: FiellerSet, plane: pd.DataFrame) -> list[tuple]:
    from scipy.stats import t as student

    reach = student.ppf(0.5 + effect.conf_level / 2, effect.df) * cost.std_error
    spread = {"low": cost.amount - reach, "high": cost.amount + reach, "form": "interval"}
    withheld = why_withheld(effect, ratio)
    return [
        _row("any", "extra_days", effect.extra_days, DAYS_PER_PUPIL, low=effect.conf_low, high=effect.conf_high, form="interval"),
        _row("any", "cost_per_pupil", cost.amount, PER_PUPIL, **spread),
        _ratio_row("any", "cost_per_extra_day", cost.amount / effect.extra_days if effect.extra_days else math.nan, ratio, PER_DAY, withheld),
        _row("any", "probability_more_days", float((plane["extra_days"] > 0).mean()), "probability"),
    ]


def _measures_at_value(effect: DaysEffect, cost: PupilCost, ratio: FiellerSet, plane: pd.DataFrame, value: Valuation) -> list[tuple]:
    """Net benefit, break-even points and their probability when a day is worth ``value``.

    The interval of net benefit uses Student's point with the effect's degrees of freedom, as Fieller's set does:
    it includes zero exactly when the value per day lies in that set.
    """
    from scipy.stats import t as student

    worth, name, standing = value.value_per_day, value.scenario, value.standing
    point = student.ppf(0.5 + effect.conf_level / 2, effect.df)
    benefit = worth * effect.extra_days - cost.amount
    reach = point * math.hypot(worth * effect.std_error, cost.std_error) if effect.bounded else math.inf
    withheld = why_withheld(effect, ratio)
    multiple = cost.amount / (worth * effect.extra_days) if worth * effect.extra_days else math.nan
    needed = worth * effect.conf_low, worth * effect.conf_high
    rows = [
        _row(name, "value_per_day", worth, PER_DAY, standing=standing),
        _row(name, "net_benefit", benefit, PER_PUPIL, low=benefit - reach, high=benefit + reach, form="interval", standing=standing),
        _row(name, "break_even_days", cost.amount / worth if worth else None, DAYS_PER_PUPIL,
             withheld=None if worth else "A day worth nothing never repays a cost", standing=standing),
        _row(name, "break_even_cost", worth * effect.extra_days, PER_PUPIL, low=needed[0], high=needed[1], form="interval", standing=standing),
        _row(name, "probability_breaking_even", float((net_benefit(plane, worth) >= 0).mean()), "probability", standing=standing),
    ]
    if worth > 0:
        rows.append(_ratio_row(name, "break_even_multiple", multiple, ratio.scaled(1 / worth), "times the days measured", withheld, standing))
    if value.association_per_day:
        share = cost.amount / (value.association_per_day * effect.extra_days) if effect.extra_days else math.nan
        rows.append(_ratio_row(name, "break_even_causal_share", share, ratio.scaled(1 / value.association_per_day),
                               "share of the association", withheld, standing))
    return rows


def _present_values(effect: DaysEffect, cost: PupilCost, value: Valuation, present: PresentValue, weight: float | None) -> list[tuple]:
    """Net present social value per pupil and in total, weighted beside unweighted, and the ratio of benefits to costs."""
    from scipy.stats import t as student

    name, standing = value.scenario, value.standing
    point = student.ppf(0.5 + effect.conf_level / 2, effect.df)
    worth, spent = value.value_per_day * present.benefit_factor, cost.amount * present.cost_factor
    spent_error = cost.std_error * present.cost_factor
    # One programme has one total, whatever pupils it is stated over: as many of them as make up the pupils referred, whose cost it is.
    pupils = present.pupils[REFERRED] / cost.referred_per_pupil

    def net(factor: float, times: float, measure: str, unit: str) -> tuple:
        middle = times * (factor * worth * effect.extra_days - spent)
        reach = times * point * math.hypot(factor * worth * effect.std_error, spent_error) if effect.bounded else math.inf
        return _row(name, measure, middle, unit, low=middle - reach, high=middle + reach, form="interval", standing=standing)

    rows = [net(1.0, 1.0, "npsv_per_pupil", f"GBP per pupil, present value in {present.base_year}"),
            net(1.0, pupils, "npsv", f"GBP for all pupils {REFERRED}, present value in {present.base_year}")]
    if weight is not None:
        rows.append(net(weight, 1.0, "npsv_weighted_per_pupil", f"GBP per pupil, present value in {present.base_year}, weighted"))
    if spent > point * spent_error and effect.bounded:
        found = fieller_set(worth * effect.extra_days, worth * effect.std_error, spent, spent_error, df=effect.df, conf_level=effect.conf_level) \
            if spent_error > 0 else FiellerSet("interval", worth * effect.conf_low / spent, worth * effect.conf_high / spent, effect.conf_level)
        rows.append(_row(name, "benefit_cost_ratio", worth * effect.extra_days / spent, "GBP of benefit per GBP of cost", low=found.low, high=found.high,
                         form=found.form, standing=standing))
    return rows


def _measures_at_uncertain_share(plane: pd.DataFrame, value: Valuation, seed: int) -> list[tuple]:
    """The probability of breaking even over the draws of days, cost and causal share together, and the mean value of a day."""
    worth = worth_by_draw(value, draws=len(plane), seed=seed)
    return [
        _row(value.scenario, "value_per_day", value.value_per_day, PER_DAY, standing=value.standing),
        _row(value.scenario, "probability_breaking_even", float((net_benefit(plane, worth) >= 0).mean()), "probability", standing=value.standing),
    ]


def appraisal_table(estimates: pd.DataFrame, costs: pd.DataFrame, values: Sequence[Valuation], spec: AppraisalSpec) -> pd.DataFrame:
    """Appraise every registered denominator in every perspective; the headline's rows are marked.

    Cost is stated over the pupils of each effect: cost per pupil referred, times the pupils referred per pupil that
    the effect itself counts. Cost per extra day is then the same per pupil referred and per pupil who started.

    Parameters
    ----------
    estimates, costs : DataFrame
        Tables ``estimates`` and ``costs_by_perspective``.
    values : sequence of Valuation
    spec : AppraisalSpec

    Returns
    -------
    DataFrame
        Table ``appraisal``.

    Raises
    ------
    DataError
        The table of costs holds no row of the headline's perspective.
    """
    import pandas as pd

    perspectives = sorted(costs["perspective"].unique())
    if spec.perspective not in perspectives:
        raise DataError(f"no costs in the headline's perspective {spec.perspective}", where="table `costs_by_perspective`",
                        mend="supply the costs, or choose another `perspective`")
    parts = []
    for pupils in sorted(spec.estimand_by_denominator):
        for view in perspectives:
            effect, cost = terms_of(estimates, costs, spec, denominator=pupils, perspective=view)
            parts.append(appraise(effect, cost, values, draws=spec.draws, seed=spec.seed, correlation=spec.correlation, weight=spec.weight,
                                  present=None if spec.present is None else spec.present[view]))
            brought = _brought_out(estimates, effect, cost)
            if len(brought):
                parts.append(brought)
    table = pd.concat(parts, ignore_index=True)
    table["headline"] = table["perspective"].eq(spec.perspective) & table["denominator"].eq(spec.denominator)
    return table


def terms_of(estimates: pd.DataFrame, costs: pd.DataFrame, spec: AppraisalSpec, *, denominator: str | None = None,
             perspective: str | None = None) -> tuple[DaysEffect, PupilCost]:
    """The effect, and the cost over the same pupils; of the headline unless another denominator or perspective is named."""
    pupils = denominator or spec.denominator
    same = {"level": pupils, "estimand": spec.estimand_by_denominator[pupils], "outcome": spec.outcome}
    effect = replace(days_effect(estimates, **same), feasible=spec.feasible)
    cost = pupil_cost(costs, denominator=pupils, perspective=perspective or spec.perspective, relative_error=spec.relative_error,
                      referred_per_pupil=referred_per_pupil(estimates, **same))
    return effect, cost


def headline_plane(estimates: pd.DataFrame, costs: pd.DataFrame, values: Sequence[Valuation], spec: AppraisalSpec) -> pd.DataFrame:
    """Draw the plane of the headline's perspective and pupils.

    Returns
    -------
    DataFrame
        Table ``plane_draws``.
    """
    effect, cost = terms_of(estimates, costs, spec)
    plane = draw_plane(effect, cost, draws=spec.draws, seed=spec.seed, correlation=spec.correlation)
    marked = mark_breaking_even(plane, counted(values, cost.perspective), seed=spec.seed)
    return marked.assign(perspective=cost.perspective, denominator=cost.denominator)
