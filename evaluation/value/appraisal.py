"""What the cost bought: extra days, cost per extra day, net benefit, and what would have to be true to break even.

Incremental means programme minus usual practice throughout; usual practice is taken to cost nothing extra. Days
are those of the measured follow-up window, with nothing after it: no yearly figure is projected here. Costs and
days fall in the same three years and are not discounted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .plane import draw_plane, mark_breaking_even, net_benefit, worth_by_draw
from .ratio import FiellerSet, fieller_set
from .terms import DaysEffect, PupilCost, Valuation, days_effect, pupil_cost, referred_per_pupil, same_pupils
from .text import number

if TYPE_CHECKING:
    import pandas as pd

PER_DAY = "GBP per extra day"
PER_PUPIL = "GBP per pupil"
DAYS_PER_PUPIL = "days per pupil over the measured window"


def appraise(effect: DaysEffect, cost: PupilCost, values: Sequence[Valuation], *, draws: int, seed: int) -> pd.DataFrame:
    """Set what was gained against what it cost, for pupils of one denominator in one perspective.

    Parameters
    ----------
    effect : DaysEffect
    cost : PupilCost
        Over the same pupils.
    values : sequence of Valuation
    draws, seed : int
        See :func:`draw_plane`.

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
    ratio = fieller_set(cost.amount, cost.std_error, effect.extra_days, effect.std_error, df=effect.df, conf_level=effect.conf_level)
    plane = draw_plane(effect, cost, draws=draws, seed=seed)
    rows = _measures_without_value(effect, cost, ratio, plane)
    for value in values:
        fixed = value.share_range is None
        rows += _measures_at_value(effect, cost, ratio, plane, value) if fixed else _measures_at_uncertain_share(plane, value, seed)
    table = pd.DataFrame(rows, columns=["scenario", "measure", "value", "conf_low", "conf_high", "set_form", "unit", "withheld", "standing"])
    return table.assign(perspective=cost.perspective, denominator=cost.denominator, estimand=effect.estimand,
                        conf_level=effect.conf_level, price_base=cost.price_base, cost_basis=cost.basis,
                        referred_per_pupil=cost.referred_per_pupil, estimate_id=effect.estimate_id)


def why_withheld(effect: DaysEffect, ratio: FiellerSet) -> str | None:
    """Why a single cost per extra day would mislead, or None when it may be given."""
    level = f"{100 * effect.conf_level:g}%"
    if effect.includes_zero:
        return (f"The {level} interval of the effect ({number(effect.conf_low, 2)} to {number(effect.conf_high, 2)} days) includes zero, so a single "
                "ratio could be any size and either sign")
    if effect.extra_days < 0:
        return "Pupils attended fewer days, so there is no extra day to divide the cost by"
    if not ratio.bounded:
        return f"The {level} confidence set of the ratio has no end, so a single ratio would mislead"
    return None


def _row(scenario: str, measure: str, value: float | None, unit: str, *, low: float | None = None, high: float | None = None,
         form: str | None = None, withheld: str | None = None, standing: str | None = None) -> tuple:
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
    reach = point * math.hypot(worth * effect.std_error, cost.std_error)
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


def _measures_at_uncertain_share(plane: pd.DataFrame, value: Valuation, seed: int) -> list[tuple]:
    """The probability of breaking even over the draws of days, cost and causal share together, and the mean value of a day."""
    worth = worth_by_draw(value, draws=len(plane), seed=seed)
    return [
        _row(value.scenario, "value_per_day", value.value_per_day, PER_DAY, standing=value.standing),
        _row(value.scenario, "probability_breaking_even", float((net_benefit(plane, worth) >= 0).mean()), "probability", standing=value.standing),
    ]


def appraisal_table(
    estimates: pd.DataFrame, costs: pd.DataFrame, values: Sequence[Valuation], *, estimand_by_denominator: dict[str, str], outcome: str,
    relative_error: float, perspective: str, denominator: str, draws: int, seed: int,
) -> pd.DataFrame:
    """Appraise every registered denominator in every perspective; the headline's rows are marked.

    Cost is stated over the pupils of each effect: cost per pupil referred, times the pupils referred per pupil that
    the effect itself counts. Cost per extra day is then the same per pupil referred and per pupil who started.

    Parameters
    ----------
    estimates, costs : DataFrame
        Tables ``estimates`` and ``costs_by_perspective``.
    values : sequence of Valuation
    estimand_by_denominator : dict
        Which estimand gives the effect for each denominator.
    outcome : str
        Outcome whose effect is in days.
    relative_error : float
        Standard error of cost per pupil as a share of it.
    perspective, denominator : str
        Of the headline.
    draws, seed : int

    Returns
    -------
    DataFrame
        Table ``appraisal``.

    Raises
    ------
    DataError
        The table of costs holds no perspective at all.
    """
    import pandas as pd

    perspectives = sorted(costs["perspective"].unique())
    if perspective not in perspectives:
        raise DataError(f"no costs in the headline's perspective {perspective}", where="table `costs_by_perspective`",
                        mend="supply the costs, or choose another `perspective`")
    parts = []
    for pupils, estimand in sorted(estimand_by_denominator.items()):
        effect = days_effect(estimates, level=pupils, estimand=estimand, outcome=outcome)
        referred = referred_per_pupil(estimates, level=pupils, estimand=estimand, outcome=outcome)
        for view in perspectives:
            cost = pupil_cost(costs, denominator=pupils, perspective=view, relative_error=relative_error, referred_per_pupil=referred)
            parts.append(appraise(effect, cost, values, draws=draws, seed=seed))
    table = pd.concat(parts, ignore_index=True)
    table["headline"] = table["perspective"].eq(perspective) & table["denominator"].eq(denominator)
    return table


def headline_plane(
    estimates: pd.DataFrame, costs: pd.DataFrame, values: Sequence[Valuation], *, estimand_by_denominator: dict[str, str], outcome: str,
    relative_error: float, perspective: str, denominator: str, draws: int, seed: int,
) -> pd.DataFrame:
    """Draw the plane of the headline's perspective and pupils; arguments as in :func:`appraisal_table`.

    Returns
    -------
    DataFrame
        Table ``plane_draws``.
    """
    same = {"level": denominator, "estimand": estimand_by_denominator[denominator], "outcome": outcome}
    effect = days_effect(estimates, **same)
    cost = pupil_cost(costs, denominator=denominator, perspective=perspective, relative_error=relative_error,
                      referred_per_pupil=referred_per_pupil(estimates, **same))
    plane = mark_breaking_even(draw_plane(effect, cost, draws=draws, seed=seed), values, seed=seed)
    return plane.assign(perspective=perspective, denominator=denominator)
