"""Sentences on money for the trial's headline and summary, each built from the result rows it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evaluation.reporting.headline import HeadlineRow, interval_text, more_or_fewer
from evaluation.reporting.text import is_missing, money_text, number_text
from evaluation.reporting.trial_sentences import LEVEL_WORDS, lower_first, one_row
from evaluation.reporting.words import value_words
from evaluation.value.planning import planning_sentences
from evaluation.value.sensitivity import flip_sentence
from evaluation.value.text import STANDINGS
from evaluation.value.terms import EARNINGS_SHARE, EARNINGS_UNCERTAIN
from evaluation.value.wording import chance_in_words, cost_words, vat_note

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.trial import ReportSection

BASE_CASE, WHOLE_ASSOCIATION = "base case", "earnings, all causal"
NO_EFFECTS = "effects were not estimated in this run"
WHOLE_POUNDS_FROM = 100
"""Pounds from which an amount is printed without pence."""


def money(appraisal: pd.DataFrame, costs: pd.DataFrame, perspective: str, denominator: str, scenario: str,
          withheld: str = NO_EFFECTS) -> list[HeadlineRow]:
    """Return cost, net benefit, cost per extra day or the reason why it is not given, and the chance of breaking even.

    Parameters
    ----------
    appraisal, costs : pandas.DataFrame
        Tables ``appraisal`` and ``costs_by_perspective``.
    perspective, denominator : str
        Those of the headline.
    scenario : str
        Value of a day under which the chance of breaking even is stated.
    withheld : str
        Why nothing is said of what the cost bought, where the appraisal has no rows.
    """
    rows = []
    total = one_row(costs, "costs_by_perspective", perspective=perspective, breakdown="total")
    if total is not None:
        rows.append(HeadlineRow(
            "money",
            f"{_sentence_case(cost_words([total['basis']]))}: {money_text(total['per_pupil_started'])} for each pupil who started "
            f"({money_text(total['per_pupil_referred'])} for each referred), in {total['price_base']} prices, counting the costs of "
            f"{_perspective(perspective)}. {vat_note(costs)}.",
            total["per_pupil_started"], unit="GBP per pupil who started", source_table="costs_by_perspective",
            source_key=f"{perspective}, total",
        ))  # fmt: skip
    leading = appraisal.loc[appraisal["headline"].astype(bool)] if len(appraisal) else appraisal
    if len(leading) == 0:
        text = f"What that bought cannot be said: {withheld}."
        return [*rows, HeadlineRow("money_effect" if rows else "money", text)]

    def measure(name: str, scenario: str) -> Mapping[str, Any] | None:
        return one_row(leading, "appraisal", measure=name, scenario=scenario)

    per_day, worth = measure("cost_per_extra_day", "any"), measure("value_per_day", BASE_CASE)
    benefit, chance = measure("net_benefit", BASE_CASE), measure("probability_breaking_even", scenario)
    assumed = measure("value_per_day", scenario)
    source = {"source_table": "appraisal"}
    if per_day is not None:
        rows.append(HeadlineRow("money_per_day", _per_day_text(per_day), _number(per_day["value"]), _number(per_day["conf_low"]),
                                _number(per_day["conf_high"]), per_day["unit"], **source, source_key=_key(per_day)))  # fmt: skip
    if benefit is not None and worth is not None:
        rows.append(HeadlineRow(
            "money_net_benefit",
            f"If an extra day is worth {_pounds(worth['value'])} ({_standing(worth['standing'])}), the net benefit for each of the "
            f"{LEVEL_WORDS[denominator]} is {_pounds(benefit['value'])} ({_interval(benefit)}).",
            benefit["value"], _number(benefit["conf_low"]), _number(benefit["conf_high"]), benefit["unit"], **source, source_key=_key(benefit),
        ))  # fmt: skip
    if chance is not None and assumed is not None:
        rows.append(HeadlineRow(
            "money_break_even",
            f"{_value_words(scenario, assumed, measure('value_per_day', WHOLE_ASSOCIATION))}, the probability of breaking even is "
            f"{_chances(leading, chance)}.{_causal_share(leading)}",
            chance["value"], unit="probability", **source, source_key=_key(chance),
        ))  # fmt: skip
    return rows


def cost_title(costs: pd.DataFrame) -> str:
    """What the costs of table ``costs_by_perspective`` are called at the head of a table: "Planned cost", say."""
    return _sentence_case(cost_words(costs["basis"]))


def vat_words(costs: pd.DataFrame) -> str:
    """Whether the costs hold VAT, as words inside a sentence."""
    said = vat_note(costs)
    return said if said.startswith("VAT") else lower_first(said)


def _per_day_text(row: Mapping[str, Any]) -> str:
    if not is_missing(row["withheld"]):
        return f"No single cost per extra day is given: {lower_first(str(row['withheld']))}.{_set_text(row)}"
    return (
        f"Each extra day attended over the half-terms measured cost {_pounds(row['value'])}, at {cost_words([row['cost_basis']])} "
        f"({100 * row['conf_level']:g}% interval {_pounds(row['conf_low'])} to {_pounds(row['conf_high'])})."
    )


def _interval(row: Mapping[str, Any]) -> str:
    """The interval of an amount in pounds; a randomisation test's may have no end."""
    level = f"{100 * row['conf_level']:g}% interval"
    return f"{level} without an end" if is_missing(row["conf_low"]) or is_missing(row["conf_high"]) else f"{level} {_pounds(row['conf_low'])} to {_pounds(row['conf_high'])}"


def _set_text(row: Mapping[str, Any]) -> str:
    """Say what the confidence set of a ratio holds when it is no plain interval."""
    form, low, high = row["set_form"], row["conf_low"], row["conf_high"]
    said = {
        "all": "every amount",
        "outside": f"amounts of {_pounds(high)} or more, and all those at which it would have cost days ({_pounds(low)} or less)",
        "from": f"amounts of {_pounds(low)} or more",
        "up_to": f"amounts of {_pounds(high)} or less",
        "interval": f"amounts from {_pounds(low)} to {_pounds(high)}",
    }.get(form)
    return f" The data fit {said} for a day." if said else ""


def _value_words(scenario: str, assumed: Mapping[str, Any], whole: Mapping[str, Any] | None) -> str:
    """Say what an extra day is taken to be worth, and what that rests on."""
    if scenario == BASE_CASE:
        return f"At {_pounds(assumed['value'])} a day"
    share = ""
    if whole is not None and not is_missing(whole["value"]) and whole["value"] != assumed["value"]:
        share = f"{number_text(100 * assumed['value'] / whole['value'], 0)}% of the {_pounds(whole['value'])} associated with a day, "
    return (
        f"Counting {_pounds(assumed['value'])} of lifetime earnings for an extra day ({share}{_standing(assumed['standing'])}; the link may not be "
        "causal)"
    )


def _causal_share(leading: pd.DataFrame) -> str:
    """Say what share of the earnings association would have to be causal, with what that association rests on."""
    row = one_row(leading, "appraisal", measure="break_even_causal_share", scenario=EARNINGS_SHARE)
    if row is None or is_missing(row["value"]):
        return ""
    share = 100 * row["value"]
    if not 0 <= share <= 100:
        return ""
    found = ""
    if row["set_form"] == "interval":
        found = f" ({100 * row['conf_level']:g}% set {number_text(100 * row['conf_low'], 0)}% to {number_text(100 * row['conf_high'], 0)}%)"
    return f" It would break even if {number_text(share, 0)}%{found} of the association of lifetime earnings with attendance were caused by attendance."


def _chances(leading: pd.DataFrame, chance: Mapping[str, Any]) -> str:
    """The chance of breaking even; under a stated causal share, also with that share unknown."""
    said = chance_in_words(chance["value"])
    unknown = one_row(leading, "appraisal", measure="probability_breaking_even", scenario=EARNINGS_UNCERTAIN)
    if chance["scenario"] != EARNINGS_SHARE or unknown is None:
        return said
    return f"{said} with that share held fixed, and {chance_in_words(unknown['value'])} with any share in its registered range as likely as another"


def so_what(verdict: str, appraisal: pd.DataFrame, rules: ReportSection, withheld: str = NO_EFFECTS) -> list[HeadlineRow]:
    """Return one sentence for each option from the registered criteria; the Department decides.

    Parameters
    ----------
    verdict : str
        In its fixed wording.
    appraisal : pandas.DataFrame
        Table ``appraisal``.
    rules : ReportSection
        The registered criteria.
    withheld : str
        Why no criterion can be applied, where the appraisal has no rows.
    """
    leading = appraisal.loc[appraisal["headline"].astype(bool)] if len(appraisal) else appraisal
    chance = one_row(leading, "appraisal", measure="probability_breaking_even", scenario=rules.break_even_scenario) if len(leading) else None
    if chance is None:
        return [HeadlineRow("so_what", f"None of the registered criteria can be applied: {withheld}. The Department decides.")]
    p, improved, worsened = chance["value"], verdict.startswith("Attendance improved"), verdict.startswith("Attendance worsened")
    unsure = not improved and not worsened
    percent = {name: number_text(100 * getattr(rules, f"{name}_probability"), 0) for name in ("continue", "expand", "stop")}
    options = (
        ("continue", "Continue", p >= rules.continue_probability and not worsened,
         f"probability of breaking even at least {percent['continue']}%, and no sign of harm"),
        ("change", "Change", unsure and p >= rules.stop_probability,
         f"no secure answer yet, and that probability at least {percent['stop']}%"),
        ("expand", "Expand", improved and p >= rules.expand_probability,
         f"a secure improvement, and that probability at least {percent['expand']}%"),
        ("stop", "Stop", worsened or p < rules.stop_probability,
         f"attendance worsened, or that probability below {percent['stop']}%"),
    )  # fmt: skip
    source = {"source_table": "appraisal", "source_key": _key(chance)}
    rows = [
        HeadlineRow(
            "so_what" if place == 0 else f"so_what_{key}",
            f"{word}: criterion {'met' if met else 'not met'} ({criterion}).",
            p, unit="probability", **source,
        )
        for place, (key, word, met, criterion) in enumerate(options)
    ]  # fmt: skip
    paid = improved and p < rules.stop_probability
    cost = " Attendance improved, but at that value of a day the improvement probably did not repay its cost." if paid else ""
    said = f"The probability of breaking even is {_chances(leading, chance)}; the first decides, and the thresholds are planning choices.{cost}"
    said = said if "with that share" in said else said.replace("the first decides, and ", "")
    return [*rows, HeadlineRow("so_what_decides", f"{said} The Department decides.")]


def planning_lines(table: pd.DataFrame) -> str:
    """Return a planning line each for a school, a trust and an authority, as one list, with mentors that they would pay for themselves.

    Parameters
    ----------
    table : pandas.DataFrame
        Table ``planning_table``.
    """
    if len(table) == 0:
        return "No effect was estimated, so nothing can be planned from this run."
    return "\n".join(f"- {sentence}" for sentence in planning_sentences(table))


def flips(tornado: pd.DataFrame, scenario: str) -> str:
    """Say which assumptions turn the answer round within their registered ranges, in the base case and under a scenario.

    Parameters
    ----------
    tornado : pandas.DataFrame
        Table ``tornado``.
    scenario : str
        Value of a day under which the chance of breaking even is stated, beside the base case.
    """
    if len(tornado) == 0:
        return "No assumption was varied, because effects were not estimated in this run."
    said = " ".join(flip_sentence(tornado, name) for name in dict.fromkeys((BASE_CASE, scenario)) if tornado["scenario"].eq(name).any())
    return said.replace(f"\u201c{scenario}\u201d", f"\u201c{value_words(scenario)}\u201d")


def break_even(appraisal: pd.DataFrame, scenario: str) -> str:
    """Say how many extra days a pupil would repay the cost, under each stated value of a day, beside the days measured.

    Parameters
    ----------
    appraisal : pandas.DataFrame
        Table ``appraisal``.
    scenario : str
        Value of a day under which the chance of breaking even is stated, beside the base case.
    """
    leading = appraisal.loc[appraisal["headline"].astype(bool)] if len(appraisal) else appraisal
    if len(leading) == 0:
        return "Break-even days cannot be given: effects were not estimated in this run."
    parts = []
    for name in dict.fromkeys((BASE_CASE, scenario)):
        days, worth = (one_row(leading, "appraisal", measure=measure, scenario=name) for measure in ("break_even_days", "value_per_day"))
        if days is not None and worth is not None and not is_missing(days["value"]):
            parts.append(f"{number_text(days['value'], 1)} days if a day is worth {_pounds(worth['value'])} ({_standing(worth['standing'])})")
    gained = one_row(leading, "appraisal", measure="extra_days", scenario="any")
    if not parts or gained is None:
        return "Break-even days cannot be given: no value of a day is registered."
    ended = not (is_missing(gained["conf_low"]) or is_missing(gained["conf_high"]))
    interval = interval_text(gained["conf_low"], gained["conf_high"], gained["conf_level"]) if ended else "interval without an end"
    return (
        f"To repay its cost, support would have to add {' or '.join(parts)} for each of the {LEVEL_WORDS[gained['denominator']]} over the half-terms "
        f"measured. The study measured {more_or_fewer(gained['value'])} ({interval})."
    )


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def _perspective(name: str) -> str:
    return {"funder": "the funder", "public_sector": "the public sector", "society": "society"}[name]


def _standing(standing: Any) -> str:
    if is_missing(standing):
        return "standing not stated"
    code = str(standing).partition(",")[0]
    return STANDINGS.get(code, code)


def _pounds(value: Any) -> str:
    return money_text(value, 0 if is_missing(value) or abs(float(value)) >= WHOLE_POUNDS_FROM else 2)


def _key(row: Mapping[str, Any]) -> str:
    return ", ".join(str(row[name]) for name in ("perspective", "denominator", "scenario", "measure"))


def _number(value: Any) -> float | None:
    return None if is_missing(value) else float(value)
