"""Sentences on reach, money and security for the trial's headline, each built from the result rows it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError
from evaluation.reporting.headline import NOT_ESTIMATED, HeadlineRow, interval_text, more_or_fewer
from evaluation.reporting.text import is_missing, money_text, number_text
from evaluation.reporting.words import true_minus
from evaluation.value.wording import chance_in_words

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.trial import ReportSection

BASE_CASE, WHOLE_ASSOCIATION = "base case", "earnings, all causal"
MENTORED, COMPARISON, REFERRED = "schools with mentors", "comparison schools", "referred pupils"
LEVEL_WORDS = {"eligible": "eligible pupils", "referred": "pupils referred", "started": "pupils who started"}
PLACE_WORDS = {"school": "A school", "trust": "A trust", "authority": "An authority"}
WHOLE_POUNDS_FROM = 100
"""Pounds from which an amount is printed without pence."""


def one_row(frame: pd.DataFrame, table: str, **where: Any) -> Mapping[str, Any] | None:
    """Return the one row that matches, or None when there is none.

    Raises
    ------
    ContractError
        When several match: a sentence must not choose between rows.
    """
    found = frame
    for column, value in where.items():
        found = found.loc[found[column].eq(value).fillna(False).astype(bool)]
    if len(found) > 1:
        wanted = ", ".join(f"{column} = {value}" for column, value in where.items())
        raise ContractError(f"{len(found)} rows where a sentence needs one ({wanted})", where=f"table `{table}`",
                            mend="mark which row leads in the stage that writes the table")  # fmt: skip
    return found.iloc[0].to_dict() if len(found) else None


def who(flow: pd.DataFrame, reach: pd.DataFrame, lead: Mapping[str, Any] | None = None) -> list[HeadlineRow]:
    """Return who was offered, reached and analysed, and whom the leading effect rests on.

    Parameters
    ----------
    flow, reach : pandas.DataFrame
        Tables ``cohort_flow`` and ``delivery_reach``.
    lead : mapping, optional
        The leading row of table ``estimates``.
    """
    rows = []
    programme = one_row(reach, "delivery_reach", level="programme")
    if programme is not None:
        offered = "" if is_missing(programme["eligible"]) else f"{_count(programme['eligible'])} eligible pupils in schools with mentors; "
        areas = int(reach["level"].eq("area").sum())
        places = f" and {areas} areas" if areas else ""
        share = "" if is_missing(programme["share_started"]) else f" ({number_text(100 * programme['share_started'], 0)}%)"
        rows.append(HeadlineRow(
            "who",
            f"{offered}{_count(programme['referred'])} referred, of whom {_count(programme['started'])} started{share} and "
            f"{_count(programme['completed'])} completed, in {_count(programme['schools'])} schools that referred{places}.",
            programme["referred"], unit="pupils", source_table="delivery_reach", source_key="programme",
        ))  # fmt: skip
    counts = {group: _analysed(flow, group) for group in (REFERRED, COMPARISON)}
    if all(count is not None for count in counts.values()):
        treated, comparison = counts[REFERRED], counts[COMPARISON]
        rows.append(HeadlineRow(
            "who_analysed" if rows else "who",
            f"Analysed: {_count(treated['pupils'])} of the pupils referred, in {_count(treated['schools'])} schools, who met the absence rule and "
            f"could be followed. {_rests_on(lead, comparison)}",
            treated["pupils"], unit="pupils", source_table="cohort_flow", source_key=f"{REFERRED}: {treated['step']}",
        ))  # fmt: skip
    return rows or [HeadlineRow("who", "No pupils were counted in this run.")]


def _rests_on(lead: Mapping[str, Any] | None, comparison: Mapping[str, Any]) -> str:
    """Say how many pupils stand behind the leading effect, or among whom similar pupils were sought."""
    if lead is None or is_missing(lead.get("n_treated")):
        return (
            f"Similar pupils were sought among {_count(comparison['pupils'])} who met the same rule in {_count(comparison['schools'])} "
            "comparison schools."
        )
    alone = "" if is_missing(lead["unmatched"]) or lead["unmatched"] == 0 else f" ({_count(lead['unmatched'])} had no similar pupil)"
    return (
        f"The leading effect rests on {_count(lead['n_treated'])} of them{alone} and on {_count(lead['n_comparison'])} similar pupils in "
        f"{_count(lead['schools_comparison'])} comparison schools."
        if lead["estimand"] == "B" else
        f"The leading effect rests on all {_count(lead['n_treated'])} eligible pupils analysed in {_count(lead['schools_treated'])} schools with "
        f"mentors and on {_count(lead['n_comparison'])} pupils in {_count(lead['schools_comparison'])} comparison schools."
    )


def _analysed(flow: pd.DataFrame, group: str) -> Mapping[str, Any] | None:
    """Return the last step of a group at which pupils go on."""
    rows = flow.loc[flow["group"].eq(group) & flow["kind"].eq("kept")]
    return rows.sort_values("position").iloc[-1].to_dict() if len(rows) else None


def money(appraisal: pd.DataFrame, costs: pd.DataFrame, perspective: str, denominator: str, scenario: str) -> list[HeadlineRow]:
    """Return cost, net benefit, cost per extra day or the reason why it is not given, and the chance of breaking even.

    Parameters
    ----------
    appraisal, costs : pandas.DataFrame
        Tables ``appraisal`` and ``costs_by_perspective``.
    perspective, denominator : str
        Those of the headline.
    scenario : str
        Value of a day under which the chance of breaking even is stated.
    """
    rows = []
    total = one_row(costs, "costs_by_perspective", perspective=perspective, breakdown="total")
    if total is not None:
        rows.append(HeadlineRow(
            "money",
            f"It cost {money_text(total['per_pupil_started'])} for each pupil who started ({money_text(total['per_pupil_referred'])} for "
            f"each referred), in {total['price_base']} prices, counting the costs of {_perspective(perspective)}.",
            total["per_pupil_started"], unit="GBP per pupil who started", source_table="costs_by_perspective",
            source_key=f"{perspective}, total",
        ))  # fmt: skip
    leading = appraisal.loc[appraisal["headline"].astype(bool)] if len(appraisal) else appraisal
    if len(leading) == 0:
        text = "What that bought cannot be said: effects were not estimated in this run."
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
            f"{LEVEL_WORDS[denominator]} is {_pounds(benefit['value'])} ({100 * benefit['conf_level']:g}% interval "
            f"{_pounds(benefit['conf_low'])} to {_pounds(benefit['conf_high'])}).",
            benefit["value"], benefit["conf_low"], benefit["conf_high"], benefit["unit"], **source, source_key=_key(benefit),
        ))  # fmt: skip
    if chance is not None and assumed is not None:
        rows.append(HeadlineRow(
            "money_break_even",
            f"{_value_words(scenario, assumed, measure('value_per_day', WHOLE_ASSOCIATION))}, the probability of breaking even is "
            f"{chance_in_words(chance['value'])}.{_causal_share(leading)}",
            chance["value"], unit="probability", **source, source_key=_key(chance),
        ))  # fmt: skip
    return rows


def _per_day_text(row: Mapping[str, Any]) -> str:
    if not is_missing(row["withheld"]):
        return f"No single cost per extra day is given: {_lower_first(str(row['withheld']))}.{_set_text(row)}"
    return (
        f"Each extra day attended over the half-terms measured cost {_pounds(row['value'])} ({100 * row['conf_level']:g}% interval "
        f"{_pounds(row['conf_low'])} to {_pounds(row['conf_high'])})."
    )


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
    row = one_row(leading, "appraisal", measure="break_even_causal_share", scenario="earnings, causal share")
    if row is None or is_missing(row["value"]):
        return ""
    share = 100 * row["value"]
    if not 0 <= share <= 100:
        return ""
    return (
        f" It would break even if {number_text(share, 0)}% of the association of lifetime earnings with attendance were caused by attendance."
    )


def so_what(verdict: str, appraisal: pd.DataFrame, rules: ReportSection) -> list[HeadlineRow]:
    """Return one sentence for each option from the registered criteria; the Department decides.

    Parameters
    ----------
    verdict : str
        In its fixed wording.
    appraisal : pandas.DataFrame
        Table ``appraisal``.
    rules : ReportSection
        The registered criteria.
    """
    leading = appraisal.loc[appraisal["headline"].astype(bool)] if len(appraisal) else appraisal
    chance = one_row(leading, "appraisal", measure="probability_breaking_even", scenario=rules.break_even_scenario) if len(leading) else None
    if chance is None:
        return [HeadlineRow("so_what", "None of the registered criteria can be applied: effects were not estimated. The Department decides.")]
    p, improved, worsened = chance["value"], verdict.startswith("Attendance improved"), verdict.startswith("Attendance worsened")
    unsure = not improved and not worsened
    percent = {name: number_text(100 * getattr(rules, f"{name}_probability"), 0) for name in ("continue", "expand", "stop")}
    options = (
        ("continue", "Continue", p >= rules.continue_probability and not worsened,
         f"a probability of breaking even of at least {percent['continue']}% and no sign of harm"),
        ("change", "Change", unsure and p >= rules.stop_probability,
         f"no secure answer yet, and a probability of breaking even of at least {percent['stop']}%"),
        ("expand", "Expand", improved and p >= rules.expand_probability,
         f"a secure improvement and a probability of breaking even of at least {percent['expand']}%"),
        ("stop", "Stop", worsened or p < rules.stop_probability,
         f"attendance worsened, or a probability of breaking even below {percent['stop']}%"),
    )  # fmt: skip
    source = {"source_table": "appraisal", "source_key": _key(chance)}
    rows = [
        HeadlineRow(
            "so_what" if place == 0 else f"so_what_{key}",
            f"{word}: criterion {'met' if met else 'not met'} ({criterion}; it is {chance_in_words(p)}).",
            p, unit="probability", **source,
        )
        for place, (key, word, met, criterion) in enumerate(options)
    ]  # fmt: skip
    cost = " Attendance improved, but at that value of a day the improvement probably did not repay its cost." if improved and p < rules.stop_probability else ""
    return [*rows, HeadlineRow("so_what_decides", f"The thresholds are planning choices.{cost} The Department decides.")]


def planning(appraisal: pd.DataFrame, costs: pd.DataFrame, perspective: str, rules: ReportSection) -> str:
    """Return a planning line each for a school, a trust and an authority, as one list.

    Parameters
    ----------
    appraisal, costs : pandas.DataFrame
        Tables ``appraisal`` and ``costs_by_perspective``.
    perspective : str
        Whose costs.
    rules : ReportSection
        Pupils who start, by place.
    """
    total = one_row(costs, "costs_by_perspective", perspective=perspective, breakdown="total")
    days = _extra_days(appraisal, perspective)
    if total is None:
        return "No costs were counted, so nothing can be planned from this run."
    lines = []
    for place, starts in rules.planning_starts.items():
        cost = starts * total["per_pupil_started"]
        bought = ""
        if days is not None:
            bought = (
                f"; at the effect measured here, {more_or_fewer(starts * days['value'], 0)} days attended in all over the half-terms measured "
                f"({interval_text(starts * days['conf_low'], starts * days['conf_high'], days['conf_level'], 0)})"
            )
        lines.append(f"- {PLACE_WORDS[place]} where {starts:,} pupils start would spend {money_text(cost)}, in {total['price_base']} prices{bought}.")
    return "\n".join(lines)


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
    return (
        f"To repay its cost, support would have to add {' or '.join(parts)} for each of the {LEVEL_WORDS[gained['denominator']]} over the half-terms "
        f"measured. The study measured {more_or_fewer(gained['value'])} ({interval_text(gained['conf_low'], gained['conf_high'], gained['conf_level'])})."
    )


def _extra_days(appraisal: pd.DataFrame, perspective: str) -> Mapping[str, Any] | None:
    if len(appraisal) == 0:
        return None
    return one_row(appraisal, "appraisal", measure="extra_days", scenario="any", denominator="started", perspective=perspective)


def intake(counts: pd.DataFrame) -> str:
    """Say how many rows were read and how many refused.

    Parameters
    ----------
    counts : pandas.DataFrame
        Table ``intake_counts``.
    """
    read, refused = int(counts["rows_read"].sum()), int(counts["rows_rejected"].sum())
    if read == 0:
        return "No rows were read."
    worst = counts.sort_values(["rejected_share", "table"], ascending=[False, True]).iloc[0]
    most = "" if refused == 0 else f", most in {worst['table']} ({number_text(worst['rejected_share'], 2)}% of its rows)"
    return (
        f"Of {_count(read)} rows read from {_count(len(counts))} tables, {_count(refused)} broke a rule and were refused{most}. The technical "
        "edition lists the tolerance of each table."
    )


def attrition_rating(attrition: pd.DataFrame, rules: ReportSection) -> HeadlineRow:
    """Return the security rating as far as design and attrition decide it: provisional and indicative.

    The bands are those generally known of the Education Endowment Foundation's scale; they have not been checked
    against its current edition, which the sentence says.

    Parameters
    ----------
    attrition : pandas.DataFrame
        Table ``attrition``.
    rules : ReportSection
    """
    lost = attrition.loc[attrition["lost"].astype(bool) & attrition["group"].eq(REFERRED)]
    base = lost["of_pupils"].max() if len(lost) else None
    if is_missing(base) or base == 0:
        return HeadlineRow("how_sure", "No security rating can be given: attrition could not be measured.")
    share = float(lost["pupils"].sum()) / float(base)
    bands = [rating for rating, limit in zip((5, 4, 3, 2, 1), rules.security_attrition_bands, strict=True) if share <= limit]
    rating = min(rules.security_design_ceiling, bands[0] if bands else 0)
    return HeadlineRow(
        "how_sure",
        f"Security rating: at most {rating} of 5, from the design and from attrition ({number_text(100 * share, 1)}% of the {_count(base)} referred "
        "pupils who entered were lost). Provisional, by rule, to be confirmed by peer reviewers. Self-assessed and indicative: the scale's bands "
        "were not checked against its current edition.",
        rating, unit="of 5", source_table="attrition", source_key=REFERRED,
    )  # fmt: skip


def _perspective(name: str) -> str:
    return {"funder": "the funder", "public_sector": "the public sector", "society": "society"}[name]


def _standing(standing: Any) -> str:
    words = {"judgement": "a planning choice", "C": "calculated from a published source", "S": "a published value",
             "S2": "from a secondary source, not verified", "M": "general knowledge, not verified"}  # fmt: skip
    if is_missing(standing):
        return "standing not stated"
    code = str(standing).partition(",")[0]
    return words.get(code, code)


def _pounds(value: Any) -> str:
    return money_text(value, 0 if is_missing(value) or abs(float(value)) >= WHOLE_POUNDS_FROM else 2)


def _key(row: Mapping[str, Any]) -> str:
    return ", ".join(str(row[name]) for name in ("perspective", "denominator", "scenario", "measure"))


def _count(value: Any) -> str:
    return number_text(value, 0)


def _number(value: Any) -> float | None:
    return None if is_missing(value) else float(value)


def _lower_first(text: str) -> str:
    return true_minus(text[:1].lower() + text[1:])


def usable(table: pd.DataFrame, verdict: str) -> pd.DataFrame:
    """Return a table of effects, or none of its rows where the verdict is that they cannot be estimated."""
    return table.iloc[:0] if verdict.startswith(NOT_ESTIMATED) else table
