"""Sentences on value for money, built from the rows of the appraisal: no number is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.errors import ContractError

from .ratio import FiellerSet
from .terms import BASE_CASE, EARNINGS_SHARE

if TYPE_CHECKING:
    import pandas as pd

PUPILS = {"eligible": "pupil offered support", "referred": "pupil referred", "started": "pupil who started"}
VIEWS = {"funder": "the funder", "public_sector": "the public sector", "society": "society"}


def pounds(amount: float) -> str:
    """An amount in whole pounds, with its sign before the pound sign."""
    return f"{'-' if round(amount) < 0 else ''}£{abs(amount):,.0f}"


def chance_in_words(probability: float) -> str:
    """A probability in whole per cent; near the ends as "below 1%" or "above 99%", since draws show no certainty."""
    if probability < 0.01:
        return "below 1%"
    return "above 99%" if probability > 0.99 else f"{100 * probability:.0f}%"


def headline_row(appraisal: pd.DataFrame, measure: str, scenario: str = "any") -> pd.Series:
    """The headline's row of a measure in a scenario.

    Raises
    ------
    ContractError
        There is not exactly one.
    """
    rows = appraisal.loc[appraisal["headline"] & appraisal["measure"].eq(measure) & appraisal["scenario"].eq(scenario)]
    if len(rows) != 1:
        raise ContractError(f"{len(rows)} headline rows of {measure} in scenario {scenario}", where="table `appraisal`",
                            mend="run the stage value_for_money again")
    return rows.iloc[0]


def cost_per_day_sentence(appraisal: pd.DataFrame) -> str:
    """Cost per extra day with its set, or why no single number is given, always with the set."""
    row, days = headline_row(appraisal, "cost_per_extra_day"), headline_row(appraisal, "extra_days")
    level = f"{100 * row['conf_level']:g}%"
    found = FiellerSet(row["set_form"], *(None if v != v else float(v) for v in (row["conf_low"], row["conf_high"])), float(row["conf_level"]))
    gained = (f"Each {PUPILS[row['denominator']]} attended {abs(days['value']):.2f} {'more' if days['value'] >= 0 else 'fewer'} days over the measured window ({level} interval of extra days "
              f"{days['conf_low']:.2f} to {days['conf_high']:.2f}).")
    if isinstance(row["withheld"], str):
        return f"{gained} No cost per extra day is given. {row['withheld']}. The {level} confidence set of the ratio is {found.sentence()}."
    return (f"{gained} To {VIEWS[row['perspective']]} one extra day cost {pounds(row['value'])} (prices of {row['price_base']}); the {level} "
            f"confidence set is {found.sentence()}.")


def worth_sentence(appraisal: pd.DataFrame) -> str:
    """Net benefit, break-even days and the probability of breaking even in the base case and the earnings scenario."""
    cost = headline_row(appraisal, "cost_per_pupil")
    parts = [f"The cost to {VIEWS[cost['perspective']]} is {pounds(cost['value'])} per {PUPILS[cost['denominator']]} (prices of {cost['price_base']})."]
    for scenario in (BASE_CASE, EARNINGS_SHARE):
        if not appraisal["scenario"].eq(scenario).any():
            continue
        worth, benefit, days, chance = (
            headline_row(appraisal, measure, scenario) for measure in ("value_per_day", "net_benefit", "break_even_days", "probability_breaking_even")
        )
        parts.append(f"If one extra day is worth {pounds(worth['value'])} ({scenario}; rests on {worth['standing']}), the net benefit per pupil is "
                     f"{pounds(benefit['value'])} ({pounds(benefit['conf_low'])} to {pounds(benefit['conf_high'])}); {days['value']:.1f} extra days per "
                     f"pupil would repay the cost, and the probability of that is {chance_in_words(chance['value'])}.")
    return " ".join(parts)


def share_sentence(appraisal: pd.DataFrame) -> str:
    """The causal share at which the earnings association would repay the cost, or why there is none to name."""
    if not appraisal["scenario"].eq(EARNINGS_SHARE).any():
        return "No earnings scenario is registered, so no causal share is at stake."
    row = headline_row(appraisal, "break_even_causal_share", EARNINGS_SHARE)
    if isinstance(row["withheld"], str):
        return f"No break-even causal share is given. {row['withheld']}."
    if row["value"] > 1:
        return (f"Even if the whole association of attendance with earnings were caused by attendance, the days of the measured window would not "
                f"repay the cost: it would take {row['value']:.2f} times the association.")
    return (f"The programme breaks even if {100 * row['value']:.0f}% of the association of attendance with lifetime earnings is caused by attendance; "
            "how much is, is not known.")
