"""What moves the answer: a tornado of one input at a time, named scenarios, and where each input would turn the answer round."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .appraisal import ratio_set, terms_of, why_withheld
from .persistence import FEWEST_AFTER_SUPPORT, persistence_factor
from .plane import draw_plane
from .terms import BASE_CASE, EARNINGS_SHARE, REFERRED, AppraisalSpec, DaysEffect, PupilCost, Valuation, referred_per_pupil

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.value import Persistence, ValueForMoneySection

PLACEBOS = ("placebo cohort", "placebo start", "placebo referral")
"""Placebos whose apparent effect is taken off in a scenario, where one was estimated for the headline's own comparison."""
PER_PUPIL, PER_DAY, DAYS = "GBP per pupil", "GBP per extra day", "days per pupil"


@dataclass(frozen=True)
class Case:
    """What the headline rests on: effect and cost over the same pupils, and what scenarios change about them.

    ``set_up_share`` is the share of cost that does not grow with pupils, ``share_started`` that of pupils referred who
    started, as the effects of this run count it, ``referred`` the effect per pupil referred, with which places plan. ``biases`` are
    apparent effects where there can be none (days, standard error, degrees of freedom), by placebo.
    """

    effect: DaysEffect
    cost: PupilCost
    set_up_share: float
    share_started: float | None
    referred: DaysEffect | None = None
    biases: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)


def headline_case(estimates: pd.DataFrame, costs: pd.DataFrame, spec: AppraisalSpec, *, placebos: pd.DataFrame | None = None) -> Case:
    """The headline's case from the tables ``estimates`` and ``costs_by_perspective``.

    ``share_started`` and ``referred`` are None where no such effect is registered, and the scenarios that need them are left out.
    """
    effect, cost = terms_of(estimates, costs, spec)
    share = referred = None
    registered = spec.estimand_by_denominator
    if REFERRED in registered:
        referred = effect if spec.denominator == REFERRED else terms_of(estimates, costs, spec, denominator=REFERRED)[0]
        if registered.get("started") == registered[REFERRED]:
            share = 1 / referred_per_pupil(estimates, level="started", estimand=registered["started"], outcome=spec.outcome)
    points = estimates.loc[estimates["estimate_id"].eq(effect.estimate_id.removesuffix("_days") + "_points"), "estimate"]
    each = abs(effect.extra_days / float(points.iloc[0])) if len(points) == 1 and float(points.iloc[0]) != 0 else None
    biases = {} if each is None else placebo_biases(placebos, effect, each)
    return Case(effect, cost, set_up_share(costs, spec.perspective), None if spec.denominator == "started" else share, referred, biases)


def placebo_biases(placebos: pd.DataFrame | None, effect: DaysEffect, days_per_point: float) -> dict[str, tuple[float, float, float]]:
    """The apparent effects of this comparison where there can be none, in days: size, standard error, degrees of freedom, by placebo.

    Parameters
    ----------
    placebos : DataFrame or None
        Table ``placebos``: ``check, analysis, estimate, std_error, df``, in points of attendance.
    effect : DaysEffect
        Of the headline; the name of its row starts with that of its analysis.
    days_per_point : float
        Days over the measured window for each point.
    """
    if placebos is None or placebos.empty:
        return {}
    usable = placebos.loc[placebos[["estimate", "std_error", "df"]].notna().all(axis=1) & placebos["check"].isin(PLACEBOS)]
    own = usable.loc[[f"{effect.estimate_id}_".startswith(f"{analysis}_") for analysis in usable["analysis"]]]
    return {row.check: (row.estimate * days_per_point, row.std_error * days_per_point, row.df)
            for row in sorted(own.itertuples(), key=lambda row: PLACEBOS.index(row.check))}


def half_life_sentence(rules: Persistence) -> str:
    """Whether a half-life could be estimated from what was measured, and what the scenarios take instead."""
    last = rules.first_measured_half_term + rules.measured_half_terms - 1
    after = max(int(last - rules.support_half_terms.value), 0)
    low_high = "" if rules.half_life.low is None else f" ({rules.half_life.low:g} to {rules.half_life.high:g})"
    can = after >= FEWEST_AFTER_SUPPORT
    said = "enough to estimate a half-life, which this stage does not do" if can else f"a half-life would need at least {FEWEST_AFTER_SUPPORT}, so none is estimated"
    half_terms = "half-term lies" if after == 1 else "half-terms lie"
    return (f"The base case counts nothing after the measured window. Of the half-terms measured, {after} {half_terms} after support: {said}. The scenarios "
            f"take a registered half-life of {rules.half_life.value:g} half-terms{low_high}, up to half-term {rules.horizon_half_terms} from the start.")


def flipping_inputs(tornado: pd.DataFrame, scenario: str = BASE_CASE) -> list[str]:
    """Inputs whose registered range turns the sign of net benefit, the widest first; the effect itself is left out."""
    rows = tornado.loc[tornado["outcome"].eq("net_benefit") & tornado["scenario"].eq(scenario) & tornado["input"].ne("effect")]
    ends = rows[["at_low", "at_high", "base"]]
    width = ends.max(axis=1) - ends.min(axis=1)
    turns = ends.gt(0).nunique(axis=1).gt(1)
    return rows.assign(width=width).loc[turns].sort_values("width", ascending=False, kind="stable")["input"].tolist()


def flip_sentence(tornado: pd.DataFrame, scenario: str = BASE_CASE) -> str:
    """Which assumptions turn the answer round within their registered ranges, others as they are."""
    names = flipping_inputs(tornado, scenario)
    rows = tornado.loc[tornado["outcome"].eq("net_benefit") & tornado["scenario"].eq(scenario)]
    if rows.empty:
        return "No assumption was varied."
    answer = "pays" if rows["base"].iloc[0] > 0 else "does not pay"
    own = rows.loc[rows["input"].eq("effect")]
    by_chance = own[["at_low", "at_high"]].gt(0).nunique(axis=1).gt(1).any()
    chance = " The uncertainty of the effect alone does so too." if by_chance else ""
    lead = f"In the {scenario}, at its best estimate, the programme {answer}." if scenario == BASE_CASE else f"Under \u201c{scenario}\u201d, at its best estimate, the programme {answer}."
    if not names:
        return f"{lead} No single assumption, moved over its registered range, turns that round.{chance}"
    said = " and ".join([", ".join(names[:2][:-1]), names[:2][-1]]) if len(names) > 1 else names[0]
    return f"{lead} Moved alone over its registered range, what turns that round most easily: {said}.{chance}"


def set_up_share(costs: pd.DataFrame, perspective: str) -> float:
    """Share of a perspective's cost that is set-up; from table ``costs_by_perspective``."""
    own = costs.loc[costs["perspective"].eq(perspective) & costs["breakdown"].eq("kind") & costs["group"].eq("set-up")]
    return float(own["share"].sum())


def lasting(rules: Persistence, half_life: float | None) -> float:
    """Days up to the horizon for each day of the measured window."""
    return persistence_factor(first_measured=rules.first_measured_half_term, measured=rules.measured_half_terms, support=rules.support_half_terms.value,
                              half_life=half_life, horizon=rules.horizon_half_terms)


def without_bias(effect: DaysEffect, bias: tuple[float, float, float]) -> DaysEffect:
    """The effect less an apparent effect where there can be none, with the uncertainty of both (Welch and Satterthwaite)."""
    from scipy.stats import t as student

    size, error, df = bias
    spread = math.hypot(effect.std_error, error)
    joint = spread**4 / (effect.std_error**4 / effect.df + (error**4 / df if error else 0.0))
    reach = float(student.ppf(0.5 + effect.conf_level / 2, joint)) * spread
    middle = effect.extra_days - size
    return replace(effect, extra_days=middle, std_error=spread, df=joint, conf_low=middle - reach, conf_high=middle + reach)


def changed(case: Case, *, days: float = 1.0, cost: float = 1.0) -> tuple[DaysEffect, PupilCost]:
    """The case's effect and cost, both with their uncertainty, times a factor each."""
    effect = replace(case.effect, extra_days=days * case.effect.extra_days, std_error=days * case.effect.std_error,
                     conf_low=days * case.effect.conf_low, conf_high=days * case.effect.conf_high,
                     feasible=None if case.effect.feasible is None else tuple(max(days, 1.0) * limit for limit in case.effect.feasible))
    return effect, replace(case.cost, amount=cost * case.cost.amount, std_error=cost * case.cost.std_error)


def at_scale(case: Case, scale: float) -> float:
    """Cost per pupil, as a multiple of the study's, when set-up costs are spread over ``scale`` times the pupils."""
    return 1.0 - case.set_up_share + case.set_up_share / scale


def tornado_table(case: Case, values: Sequence[Valuation], rules: ValueForMoneySection) -> pd.DataFrame:
    """Move one input at a time from its low to its high value: effect, cost per extra day, and net benefit.

    Returns
    -------
    DataFrame
        Table ``tornado``: ``outcome, scenario, input, low_value, high_value, at_low, at_high, base, unit``, widest first within an
        outcome. Cost per extra day is left out where a single ratio is withheld (:func:`why_withheld`).
    """
    import pandas as pd

    days, cost = case.effect.extra_days, case.cost.amount
    moved = list(_moves(case, rules))
    ratio = ratio_set(case.effect, case.cost)
    rows = [("extra_days", "any", name, low, high, ends[0][0], ends[1][0], days, DAYS) for name, low, high, ends in moved]
    if why_withheld(case.effect, ratio) is None:
        vague = {_bias_name(name) for name, bias in case.biases.items() if _withheld_without(case, bias)}
        rows += [("cost_per_extra_day", "any", name, low, high, ends[0][1] / ends[0][0], ends[1][1] / ends[1][0], cost / days, PER_DAY)
                 for name, low, high, ends in moved if name not in vague]
    for value in values:
        if value.share_range is not None or value.scenario not in (BASE_CASE, EARNINGS_SHARE):
            continue
        own = list(moved)
        for name, low, high in _worths(value, rules):
            own.append((name, low, high, ((days, cost), (days, cost))))
        worths = {name: (low, high) for name, low, high in _worths(value, rules)}
        factor = 1.0 if value.association_per_day is None else value.association_per_day
        for name, low, high, ends in own:
            at = [factor * worths[name][place] if name in worths else value.value_per_day for place in (0, 1)]
            rows.append(("net_benefit", value.scenario, name, low, high, at[0] * ends[0][0] - ends[0][1], at[1] * ends[1][0] - ends[1][1],
                         value.value_per_day * days - cost, PER_PUPIL))
    table = pd.DataFrame(rows, columns=["outcome", "scenario", "input", "low_value", "high_value", "at_low", "at_high", "base", "unit"])
    table = table.loc[~(table["at_low"].eq(table["base"]) & table["at_high"].eq(table["base"]))]
    reach = pd.concat([table["at_low"], table["at_high"], table["base"]], axis=1)
    width = reach.max(axis=1) - reach.min(axis=1)
    return table.assign(width=width).sort_values(["outcome", "scenario", "width"], ascending=[True, True, False], kind="stable", ignore_index=True).drop(columns="width")


def _moves(case: Case, rules: ValueForMoneySection):
    """Each input that changes days or cost: its low and high value, and (days, cost) at both."""
    from scipy.stats import t as student

    days, cost = case.effect.extra_days, case.cost.amount
    if case.effect.bounded:
        yield "effect", case.effect.conf_low, case.effect.conf_high, ((case.effect.conf_low, cost), (case.effect.conf_high, cost))
    reach = float(student.ppf(0.5 + case.effect.conf_level / 2, case.effect.df)) * case.cost.std_error
    if reach > 0:
        yield "cost per pupil", cost - reach, cost + reach, ((days, cost - reach), (days, cost + reach))
    half_life = rules.persistence.half_life
    if half_life.low is not None and half_life.high is not None:
        ends = tuple((days * lasting(rules.persistence, value), cost) for value in (half_life.low, half_life.high))
        yield "half-life after support", half_life.low, half_life.high, ends
    take_up = rules.take_up
    if case.share_started is not None and take_up.low is not None and take_up.high is not None:
        yield "take-up", take_up.low, take_up.high, tuple((days * value / case.share_started, cost) for value in (take_up.low, take_up.high))
    scale = rules.scale
    if scale.low is not None and scale.high is not None:
        yield "scale", scale.low, scale.high, tuple((days, cost * at_scale(case, value)) for value in (scale.low, scale.high))
    for name, bias in case.biases.items():
        yield _bias_name(name), 0.0, bias[0], ((days, cost), (without_bias(case.effect, bias).extra_days, cost))


def _bias_name(placebo: str) -> str:
    return f"bias ({placebo})"


def _withheld_without(case: Case, bias: tuple[float, float, float]) -> bool:
    """Whether a ratio is withheld once a bias is taken off the effect, with its uncertainty."""
    less = without_bias(case.effect, bias)
    return why_withheld(less, ratio_set(less, case.cost)) is not None


def _worths(value: Valuation, rules: ValueForMoneySection) -> list[tuple[str, float, float]]:
    """What the value of a day itself may be: the registered range, or that of the causal share."""
    if value.scenario == BASE_CASE:
        own = rules.value_per_day
        return [("value of a day", own.low, own.high)] if own.low is not None and own.high is not None else []
    shares = [benefit.causal_share for benefit in rules.benefits if benefit.stream == "lifetime earnings"]
    return [("causal share", share.low, share.high) for share in shares if share is not None and share.low is not None]


def scenario_table(case: Case, values: Sequence[Valuation], rules: ValueForMoneySection, *, draws: int, seed: int) -> pd.DataFrame:
    """Named scenarios, each at every fixed value of a day: days, cost, net benefit, and the probability of breaking even.

    Returns
    -------
    DataFrame
        Table ``value_scenarios``: ``group, scenario, valuation, value_per_day, extra_days, days_low, days_high, cost_per_pupil,
        cost_per_extra_day`` (missing where it is withheld), ``net_benefit, conf_low, conf_high, probability_breaking_even``.
    """
    import pandas as pd

    rows = []
    for group, name, effect, cost, correlation in _scenarios(case, rules):
        plane = draw_plane(effect, cost, draws=draws, seed=seed, correlation=correlation)
        ratio = ratio_set(effect, cost)
        per_day = math.nan if why_withheld(effect, ratio) else cost.amount / effect.extra_days
        for value in _fixed(values, group, rules):
            rows.append({"group": group, "scenario": name, "valuation": value.scenario, "value_per_day": value.value_per_day, "extra_days": effect.extra_days,
                         "days_low": end_of(effect.conf_low), "days_high": end_of(effect.conf_high), "cost_per_pupil": cost.amount, "cost_per_extra_day": per_day,
                         **_benefit(effect, cost, value.value_per_day),
                         "probability_breaking_even": float((value.value_per_day * plane["extra_days"] >= plane["extra_cost"]).mean())})
    return pd.DataFrame(rows)


def end_of(limit: float) -> float:
    """A limit of an interval; missing where it has none."""
    return limit if math.isfinite(limit) else math.nan


def _benefit(effect: DaysEffect, cost: PupilCost, worth: float) -> dict[str, float]:
    from scipy.stats import t as student

    middle = worth * effect.extra_days - cost.amount
    reach = float(student.ppf(0.5 + effect.conf_level / 2, effect.df)) * math.hypot(worth * effect.std_error, cost.std_error) if effect.bounded else math.nan
    return {"net_benefit": middle, "conf_low": middle - reach, "conf_high": middle + reach}


def _scenarios(case: Case, rules: ValueForMoneySection):
    """Group, name, effect, cost and correlation of each scenario; the base case first."""
    own, usual = changed(case), rules.cost_effect_correlation.value
    yield "base", "nothing after the measured window", *own, usual
    for half_life in _ends(rules.persistence.half_life):
        yield "persistence", f"half-life of {half_life:g} half-terms after support", *changed(case, days=lasting(rules.persistence, half_life)), usual
    if case.share_started is not None:
        for share in _ends(rules.take_up):
            yield "take-up", f"{share:.0%} of pupils referred start", *changed(case, days=share / case.share_started), usual
    for scale in _ends(rules.scale):
        if scale != 1:
            yield "scale", f"{scale:g} times the pupils", *changed(case, cost=at_scale(case, scale)), usual
    for correlation in _ends(rules.cost_effect_correlation):
        if correlation != usual:
            yield "correlation", f"cost and effect correlated {correlation:+g}", *own, correlation
    for name, bias in case.biases.items():
        yield "bias", f"less the apparent effect in the {name}", without_bias(case.effect, bias), case.cost, usual
    for benefit in rules.benefits:
        if benefit.causal_share is not None:
            yield "causal share", "all else as in the base case", *own, usual


def _fixed(values: Sequence[Valuation], group: str, rules: ValueForMoneySection) -> list[Valuation]:
    """The values of a day at which a group of scenarios is shown."""
    if group != "causal share":
        return [value for value in values if value.share_range is None and value.scenario in (BASE_CASE, EARNINGS_SHARE)]
    full = next((value.association_per_day for value in values if value.scenario == EARNINGS_SHARE), None)
    shares = next((benefit.causal_share for benefit in rules.benefits if benefit.stream == "lifetime earnings"), None)
    if full is None or shares is None:
        return []
    return [Valuation(f"{share:.0%} of the earnings association is causal", share * full, "") for share in _ends(shares)]


def _ends(quantity) -> list[float]:
    """Low, value and high of a registered quantity, in order, each once."""
    return sorted({value for value in (quantity.low, quantity.value, quantity.high) if value is not None})
