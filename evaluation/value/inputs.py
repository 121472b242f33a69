"""Every input of the appraisal with its source, and the value at which it alone would turn the answer round."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .appraisal import ratio_set, why_withheld
from .discounting import distributional_weight
from .sensitivity import DAYS, PER_PUPIL, Case, end_of, lasting
from .terms import BASE_CASE, EARNINGS_SHARE, Valuation

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.value import Persistence, ValueForMoneySection


def switching_values(case: Case, values: Sequence[Valuation], rules: ValueForMoneySection) -> dict[str, tuple[float | None, str, str]]:
    """For each input, where it would turn the answer round with the others as they are: value, scenario, and words where there is none.

    Returns
    -------
    dict
        Input's path in the protocol (or "extra_days", "cost_per_pupil") to (value or None, scenario, words).
    """
    days, cost = case.effect.extra_days, case.cost.amount
    ratio = ratio_set(case.effect, case.cost)
    why = why_withheld(case.effect, ratio)
    worth = rules.value_per_day.value
    found: dict[str, tuple[float | None, str, str]] = {
        "extra_days": (cost / worth, BASE_CASE, "days per pupil that repay the cost"),
        "cost_per_pupil": (worth * days, BASE_CASE, "cost per pupil that the days repay"),
    }

    def needs_days(path: str, compute: Callable[[], tuple[float | None, str]], scenario: str) -> None:
        value, words = (None, why) if why else compute()
        found[path] = (value, scenario, words)

    needs_days("value_per_day", lambda: (cost / days, "value of a day at which it pays"), BASE_CASE)
    gap = cost / (worth * days) if days > 0 else math.inf   # how many times the days it would take
    needs_days("persistence.half_life", lambda: _half_life_for(rules.persistence, gap), BASE_CASE)
    if case.share_started is not None:
        needs_days("take_up", lambda: _within(gap * case.share_started, 1.0, "even if every pupil referred started it would not pay"), BASE_CASE)
    needs_days("scale", lambda: _scale_for(case, worth * days), BASE_CASE)
    if rules.distribution is not None:
        needs_days("distribution.income_ratio", lambda: (gap ** (1 / rules.distribution.elasticity.value), "income ratio at which weighted benefits repay the cost"), BASE_CASE)
    for value in values:
        stream = next((b for b in rules.benefits if value.scenario == EARNINGS_SHARE and b.stream == "lifetime earnings"), None)
        if stream is not None and stream.causal_share is not None:
            full, share = stream.per_day.value, stream.causal_share.value
            needs_days(f"{stream.stream}: causal_share", lambda f=full: _within(cost / (days * f), 1.0, "not even the whole association would repay the cost"),
                       value.scenario)
            if share > 0:
                needs_days(f"{stream.stream}: per_day", lambda s=share: (cost / (days * s), "association per day at which it pays"), value.scenario)
    return found


def _within(value: float, most: float, beyond: str) -> tuple[float | None, str]:
    return (value, "value at which it pays") if 0 <= value <= most else (None, beyond)


def _half_life_for(rules: Persistence, needed: float) -> tuple[float | None, str]:
    """The half-life after support at which the days up to the horizon are ``needed`` times those measured."""
    from scipy.optimize import brentq

    if needed <= 1:
        return None, "it pays with nothing after the measured window"
    if lasting(rules, math.inf) < needed:
        return None, f"not even an effect that never fades would pay within {rules.horizon_half_terms} half-terms"
    return float(brentq(lambda value: lasting(rules, value) - needed, 1e-3, 1e6)), "half-life at which it pays"


def _scale_for(case: Case, worth: float) -> tuple[float | None, str]:
    """The multiple of pupils at which cost per pupil falls to what the days are worth."""
    left = worth / case.cost.amount - (1 - case.set_up_share)
    if left <= 0 or case.set_up_share == 0:
        return None, "running costs alone exceed what the days are worth, so no scale would pay"
    return case.set_up_share / left, "multiple of pupils at which it pays"


def input_table(case: Case, values: Sequence[Valuation], rules: ValueForMoneySection) -> pd.DataFrame:
    """Every input of the appraisal with its source, date and standing, and the value at which it turns the answer round.

    Returns
    -------
    DataFrame
        Table ``value_inputs``: ``position, input, value, low, high, unit, source, dated, standing, note, switching_value,
        switching_scenario, switching_text``.
    """
    import pandas as pd

    from evaluation.protocol.value import quantities

    level = f"{100 * case.effect.conf_level:g}% interval"
    rows = [
        ("extra_days", case.effect.extra_days, end_of(case.effect.conf_low), end_of(case.effect.conf_high), DAYS, f"table estimates, {case.effect.estimate_id}",
         "this run", "estimate", f"low and high are its {level}"),
        ("cost_per_pupil", case.cost.amount, None, None, f"{PER_PUPIL}, prices of {case.cost.price_base}", "table cost_list, as supplied", "this run",
         case.cost.basis or "none", "see cost_relative_error for its uncertainty"),
    ]
    for path, own in quantities(rules):
        rows.append((path, own.value, own.low, own.high, own.unit, own.source, own.dated, own.standing, own.note))
    if rules.distribution is not None:
        weight = distributional_weight(rules.distribution.income_ratio.value, rules.distribution.elasticity.value)
        rows.append(("distributional weight", weight, None, None, "ratio", "income ratio to the power of the elasticity", "this run", "C", None))
    for name, table, said in (
        ("discounting", rules.discounting, "; ".join(f"{rate:.1%} to year {last}" for last, rate in rules.discounting.schedule)),
        ("cost_bands", rules.cost_bands, f"{rules.cost_bands.edition} edition: " + ", ".join(f"{limit:g}" for limit in rules.cost_bands.limits)),
        ("deflators", rules.deflators, None if rules.deflators is None else ", ".join(f"{year} {index:g}" for year, index in sorted(rules.deflators.index.items()))),
    ):
        if table is not None:
            rows.append((name, None, None, None, "table", table.source, table.dated, table.standing, said))
    frame = pd.DataFrame(rows, columns=["input", "value", "low", "high", "unit", "source", "dated", "standing", "note"])
    turned = switching_values(case, values, rules)
    nothing = (None, None, "no value does, in the base case")
    found = [turned.get(name, nothing) for name in frame["input"]]
    for place, column in enumerate(("switching_value", "switching_scenario", "switching_text")):
        frame[column] = [entry[place] for entry in found]
    frame.insert(0, "position", range(1, len(frame) + 1))
    return frame.astype({name: "float64" for name in ("value", "low", "high", "switching_value")})
