"""Sentences on value for money, built from the rows of the appraisal: no number is typed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from evaluation.errors import ContractError

from .costs import MIXED, common_basis
from .ratio import FiellerSet
from .terms import BASE_CASE, EARNINGS_SHARE, EARNINGS_UNCERTAIN
from .text import number, percent, pounds, standing_words

if TYPE_CHECKING:
    import pandas as pd

PUPILS = {"eligible": "pupil offered support", "referred": "pupil referred", "started": "pupil who started"}
VIEWS = {"funder": "the funder", "public_sector": "the public sector", "society": "society"}


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


def cost_words(bases: Iterable[str | None]) -> str:
    """What costs on these bases are called in a sentence: "planned cost", "outturn cost" or, on both, "partly planned cost"."""
    return {"planned": "planned cost", "outturn": "outturn cost", MIXED: "partly planned cost"}.get(common_basis(bases), "cost")


def vat_note(costs: pd.DataFrame) -> str:
    """Whether the table ``costs_by_perspective`` holds VAT: what is not recorded is never taken for nothing paid."""
    if costs["of_which_vat"].isna().all():
        return "VAT not recorded: amounts are without it"
    return "VAT as far as it is recorded, where the perspective counts it"


def cost_per_day_sentence(appraisal: pd.DataFrame) -> str:
    """Cost per extra day with its set, or why no single number is given, always with the set."""
    row, days = headline_row(appraisal, "cost_per_extra_day"), headline_row(appraisal, "extra_days")
    level, found = f"{100 * row['conf_level']:g}%", _set_of(row)
    direction = "more" if days["value"] >= 0 else "fewer"
    ended = days["conf_low"] == days["conf_low"]
    interval = f"interval of extra days {number(days['conf_low'], 2)} to {number(days['conf_high'], 2)}" if ended else "interval of extra days without an end"
    gained = f"Each {PUPILS[row['denominator']]} attended {number(abs(days['value']), 2)} {direction} days over the measured window ({level} {interval})."
    if isinstance(row["withheld"], str):
        return f"{gained} No cost per extra day is given. {row['withheld']}. The {level} confidence set of the ratio is {found.sentence()}."
    return (f"{gained} To {VIEWS[row['perspective']]} one extra day cost {pounds(row['value'])} ({cost_words([row['cost_basis']])}, prices of "
            f"{row['price_base']}); the {level} confidence set is {found.sentence()}.")


def worth_sentence(appraisal: pd.DataFrame) -> str:
    """Net benefit, break-even days and the probability of breaking even in the base case and the earnings scenario.

    With a causal share that is itself uncertain, the probability is said a second time, over its whole range.
    """
    cost = headline_row(appraisal, "cost_per_pupil")
    parts = [f"The {cost_words([cost['cost_basis']])} to {VIEWS[cost['perspective']]} is {pounds(cost['value'])} per {PUPILS[cost['denominator']]} "
             f"(prices of {cost['price_base']})."]
    for scenario in (BASE_CASE, EARNINGS_SHARE):
        if not appraisal["scenario"].eq(scenario).any():
            continue
        worth, benefit, days, chance = (
            headline_row(appraisal, measure, scenario) for measure in ("value_per_day", "net_benefit", "break_even_days", "probability_breaking_even")
        )
        held = ", the share held fixed," if scenario == EARNINGS_SHARE else ""
        parts.append(f"If one extra day is worth {pounds(worth['value'])} ({scenario}; {standing_words(worth['standing'])}), the net benefit per pupil is "
                     f"{pounds(benefit['value'])} ({_range(benefit)}); {number(days['value'], 1)} extra "
                     f"days per pupil would repay the cost, and the probability of that{held} is {chance_in_words(chance['value'])}.")
    if appraisal["scenario"].eq(EARNINGS_UNCERTAIN).any():
        chance = headline_row(appraisal, "probability_breaking_even", EARNINGS_UNCERTAIN)
        parts.append(f"With the share itself uncertain ({standing_words(chance['standing'])}), the probability of breaking even is {chance_in_words(chance['value'])}.")
    return " ".join(parts)


def share_sentence(appraisal: pd.DataFrame) -> str:
    """The causal share at which the earnings association would repay the cost with its set, or why there is none to name."""
    if not appraisal["scenario"].eq(EARNINGS_SHARE).any():
        return "No earnings scenario is registered, so no causal share is at stake."
    row = headline_row(appraisal, "break_even_causal_share", EARNINGS_SHARE)
    level, found = f"{100 * row['conf_level']:g}%", _set_of(row)
    if isinstance(row["withheld"], str):
        return f"No break-even causal share is given. {row['withheld']}. The {level} confidence set of that share is {found.sentence(percent)}."
    if row["value"] > 1:
        times = found.sentence(lambda limit: number(limit, 2)).removeprefix("from ")
        return (f"Even if the whole association of attendance with earnings were caused by attendance, the days of the measured window would not "
                f"repay the cost: it would take {number(row['value'], 2)} times the association ({level} set {times} times).")
    beyond = "" if found.high is None or found.high <= 1 else "; above 100% not even the whole association would repay the cost"
    held = f"{level} set {found.sentence(percent).removeprefix('from ')}"
    return (f"The programme breaks even if {percent(row['value'])} of the association of attendance with lifetime earnings is caused by attendance "
            f"({held}{beyond}); how much is, is not known.")


def brought_out_sentence(appraisal: pd.DataFrame) -> str:
    """Pupils brought out of persistent and of severe absence over a full academic year and what each cost, or why it is not said."""
    said = []
    for name in ("persistent_absence", "severe_absence"):
        words = name.replace("_", " ")
        if not (appraisal["headline"] & appraisal["measure"].eq(f"share_out_of_{name}")).any():
            said.append(f"How many pupils were brought out of {words} is not said: it needs full academic years before and after, and no such effect was estimated "
                        "for these pupils.")
            continue
        share, cost = headline_row(appraisal, f"share_out_of_{name}"), headline_row(appraisal, f"cost_per_pupil_out_of_{name}")
        level, found = f"{100 * share['conf_level']:g}%", _set_of(cost)
        ended = share["conf_low"] == share["conf_low"]
        interval = f"{number(100 * share['conf_low'], 1)} to {number(100 * share['conf_high'], 1)}" if ended else "without an end"
        said.append(f"Of 100 pupils {share['denominator']}, {number(100 * share['value'], 1)} more than among similar pupils were out of {words} over a full academic year "
                    f"({level} interval {interval}).")
        if isinstance(cost["withheld"], str):
            said.append(f"No cost for each is given. {cost['withheld']}. The {level} confidence set is {found.sentence().replace('buys no extra day', 'brings nobody out')}.")
        else:
            said.append(f"Each cost {pounds(cost['value'])} ({level} set {found.sentence()}).")
    return " ".join(said)


def _range(row: pd.Series) -> str:
    return f"{pounds(row['conf_low'])} to {pounds(row['conf_high'])}" if row["conf_low"] == row["conf_low"] else "interval without an end"


def _set_of(row: pd.Series) -> FiellerSet:
    low, high = (None if limit != limit else float(limit) for limit in (row["conf_low"], row["conf_high"]))
    return FiellerSet(row["set_form"], low, high, float(row["conf_level"]))
