"""Sentences of an area study, each built from result rows: no number in them is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evaluation.reporting.headline import higher_or_lower, interval_text
from evaluation.reporting.text import is_missing, number_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from evaluation.protocol.area import AreaImpactSection, AreaProtocol
    from evaluation.protocol.base import Quantity

OUTCOME_NAMES = {
    "persistent_absence": "persistent absence",
    "severe_absence": "severe absence",
    "mean_absence": "mean absence",
}
OUTCOME_TITLES = {
    "persistent_absence": "Persistent absence: enrolments absent for 10% or more (%)",
    "severe_absence": "Severe absence: enrolments absent for 50% or more (%)",
    "mean_absence": "Mean absence, from bands (% of sessions)",
}
CHARACTERISTIC_NAMES = {
    "fsm_share": "Share eligible for free school meals (%)",
    "sen_share": "Share with special educational needs (%)",
    "enrolments": "Enrolments a year",
    "same_region": "In the same region (%)",
}
POOL_NAMES = {"all": "all authorities", "matched": "matched authorities"}
STANDINGS = {
    "S": "read in the source named",
    "C": "calculated from a named source",
    "S2": "read only in the press or another secondary source",
    "M": "general knowledge, not verified",
    "judgement": "a planning choice",
}
NOT_EVIDENCE_OF_NONE = "This is not evidence of no effect."
NO_CLEAR_EVIDENCE = "No clear evidence either way"


def treated_name(pools: pd.DataFrame) -> str:
    """The treated authority's name from the table ``area_pools``."""
    return str(pools.loc[pools["role"] == "treated", "authority_name"].iloc[0])


def registered(estimates: pd.DataFrame, outcome: str, pool: str) -> pd.Series:
    """The registered estimate of one outcome against one pool."""
    return estimates[estimates["registered"] & (estimates["outcome"] == outcome) & (estimates["pool"] == pool)].iloc[0]


def row_of(frame: pd.DataFrame, outcome: str, pool: str) -> pd.Series:
    """The one row of a table with a row for each outcome and pool."""
    return frame[(frame["outcome"] == outcome) & (frame["pool"] == pool)].iloc[0]


def signed(value: float, decimals: int = 2) -> str:
    """A change with its sign: "+1.05", "−0.35"; no sign on a rounded zero."""
    text = number_text(value, decimals)
    return f"+{text}" if value > 0 and any(digit in "123456789" for digit in text) else text


def p_text(value: float) -> str:
    """A p-value with three decimals below 0.1 and two above."""
    return f"p = {number_text(value, 3 if value < 0.1 else 2)}"


def quantity_text(quantity: Quantity) -> str:
    """A sourced number with its standing: "223 pupils [S2]"; see :func:`standings_text`."""
    return f"{number_text(quantity.value, 0 if quantity.value == int(quantity.value) else 1)} {quantity.unit} [{quantity.standing}]"


def standings_text(*standings: str) -> str:
    """What each mark of standing means, for the marks given: "[S2] read only in the press ..."."""
    return "; ".join(f"[{mark}] {meaning}" for mark, meaning in STANDINGS.items() if mark in standings)


def excludes_zero(row: pd.Series) -> bool:
    """Whether the interval of an estimate excludes zero; never where there is no interval."""
    return not is_missing(row["conf_low"]) and (row["conf_low"] > 0 or row["conf_high"] < 0)


def place_text(row: pd.Series) -> str:
    """An estimate's place among placebo effects, with its p-values and their floor."""
    return (f"place {row['rank_by_size']} by size among {row['n_placebos'] + 1} authorities; {p_text(row['p_two_sided'])} either way, "
            f"{p_text(row['p_less'])} for a fall, {p_text(row['p_greater'])} for a rise; no smaller p than {number_text(row['p_floor'], 3)} is possible")


def effect_sentence(row: pd.Series, name: str) -> str:
    """What an outcome did in the treated authority that it did not do in a pool, with ranks, p-values and its reading."""
    opening = (f"From {row['base_years']} to {row['follow_up_year']} the change in {OUTCOME_NAMES[row['outcome']]} in {name} was "
               f"{higher_or_lower(row['estimate'], 2)} than in {POOL_NAMES[row['pool']]}")
    if is_missing(row["conf_low"]):
        return f"{opening} (no interval: with {row['n_placebos']} placebos no effect, however large, could have been found). {NOT_EVIDENCE_OF_NONE}"
    interval = f"{interval_text(row['conf_low'], row['conf_high'], row['conf_level'], 2)} points"
    reading = f"{NO_CLEAR_EVIDENCE}."
    if excludes_zero(row):
        way = "rise" if row["estimate"] > 0 else "fall"
        reading = f"So large a {way} is rare among authorities without mentors. It is a change of the whole area, whatever its cause."
    return f"{opening} ({interval}; {place_text(row)}). {reading} {NOT_EVIDENCE_OF_NONE}"


def effect_in_both(estimates: pd.DataFrame, outcome: str, name: str) -> str:
    """The estimates of one outcome against both pools in plain words: how many authorities without mentors moved as far."""
    rows = [registered(estimates, outcome, pool) for pool in POOL_NAMES]
    parts = []
    for row in rows:
        interval = "no interval" if is_missing(row["conf_low"]) else interval_text(row["conf_low"], row["conf_high"], row["conf_level"], 2)
        parts.append(f"{higher_or_lower(row['estimate'], 2)} than in {POOL_NAMES[row['pool']]} ({interval}; {row['rank_by_size'] - 1} of {row['n_placebos']} moved as far)")
    reading = f"{NO_CLEAR_EVIDENCE}."
    if any(excludes_zero(row) for row in rows):
        reading = ("The two comparisons do not agree on whether so large a change is rare." if not all(excludes_zero(row) for row in rows)
                   else "So large a change is rare among authorities without mentors.") + " It is a change of the whole area, whatever its cause."
    return (f"From {rows[0]['base_years']} to {rows[0]['follow_up_year']} the change in {OUTCOME_NAMES[outcome]} in {name} was {parts[0]}. It was {parts[1]}. {reading} "
            f"{NOT_EVIDENCE_OF_NONE}")


def drift_sentence(row: pd.Series, gaps: pd.DataFrame, name: str) -> str:
    """Name a movement of the gap before the programme, or say that none stands out and how far it moved."""
    years = gaps[(gaps["outcome"] == row["outcome"]) & (gaps["pool"] == row["pool"])].set_index("academic_year")
    base = ", ".join(years.index[years["period"] == "base"])
    outcome, pool = OUTCOME_NAMES[row["outcome"]], POOL_NAMES[row["pool"]]
    opening = f"{outcome.capitalize()}, {name} against {pool}: "
    moved = -row["farthest_gap_from_base"]
    widened = "rose" if moved > 0 else "fell"
    if not row["named"]:
        return (f"{opening}no earlier movement stands out among {row['n_placebos']} placebo authorities at the registered level of "
                f"{number_text(row['drift_level'], 2)}. The gap still {widened} by {number_text(abs(moved), 2)} points from {row['farthest_year']} "
                f"to {base} ({p_text(row['farthest_p'])}).")
    parts = []
    if row["years_named"]:
        listed = [f"{number_text(abs(years.loc[year, 'gap_from_base']), 2)} points {'below' if years.loc[year, 'gap_from_base'] < 0 else 'above'} "
                  f"its {base} value in {year} ({p_text(years.loc[year, 'gap_p_two_sided'])})" for year in row["years_named"].split(", ")]
        parts.append(f"the gap stood {' and '.join(listed)}")
    if row["steps_named"]:
        listed = [f"{signed(years.loc[year, 'step'])} points into {year} ({p_text(years.loc[year, 'step_p_two_sided'])})" for year in row["steps_named"].split(", ")]
        parts.append(f"the gap stepped by {' and '.join(listed)}")
    if row["earlier_rms_p"] <= row["drift_level"]:
        parts.append(f"the earlier years together lie {number_text(row['earlier_rms'], 2)} points from base ({p_text(row['earlier_rms_p'])})")
    after = ("The change after support began goes against that movement, as a return to the earlier gap would."
             if row["effect_reverses"] else "The change after support began goes the same way, as a continuation of that movement would.")
    return (f"{opening}a movement before the programme stands out at the registered level of {number_text(row['drift_level'], 2)}: {'; '.join(parts)}. "
            f"({row['looks']} looks were taken, so that one may stand out by chance.) {after}")


def drift_in_both(drift: pd.DataFrame, gaps: pd.DataFrame, outcome: str) -> str:
    """How one outcome's gap to both pools moved before the programme, in plain words; what is rare among placebos is named."""
    base = ", ".join(sorted(gaps.loc[gaps["period"] == "base", "academic_year"].unique()))
    parts, named = [], False
    for pool in POOL_NAMES:
        row = row_of(drift, outcome, pool)
        named = named or bool(row["named"])
        step = f", with a rare step of {signed(row['largest_step'])} points into {row['largest_step_year']}" if row["steps_named"] else ""
        rare = "rare" if row["farthest_p"] <= row["drift_level"] else "not rare"
        parts.append(f"Against {POOL_NAMES[pool]} the gap moved {signed(-row['farthest_gap_from_base'])} points from {row['farthest_year']} to {base} ({rare}){step}")
    opening = "a movement before the programme stands out" if named else "no movement before the programme stands out"
    return f"{OUTCOME_NAMES[outcome].capitalize()}: {opening}. {'. '.join(parts)}."


def drift_by_outcome(drift: pd.DataFrame, gaps: pd.DataFrame) -> str:
    """:func:`drift_in_both` of every outcome, as a list, and what rare means."""
    lines = [f"- {drift_in_both(drift, gaps, outcome)}" for outcome in OUTCOME_NAMES if outcome in set(drift["outcome"])]
    first = drift.iloc[0]
    return "\n".join(lines) + (f"\n\nRare means that at most {number_text(100 * first['drift_level'], 0)}% of authorities moved as far, the area itself counted. Each comparison took "
                               f"{first['looks']} looks, so that one of them may be rare by chance.")


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with outcomes, pools and characteristics in plain words, outcomes in their usual order."""
    if "outcome" in frame.columns:
        frame = frame.sort_values("outcome", key=lambda names: names.map(list(OUTCOME_NAMES).index), kind="stable")
        frame = frame.assign(outcome=frame["outcome"].map(lambda key: OUTCOME_NAMES[key].capitalize()))
    if "characteristic" in frame.columns:
        frame = frame.assign(characteristic=frame["characteristic"].map(CHARACTERISTIC_NAMES))
    return frame.assign(pool=frame["pool"].map(lambda key: POOL_NAMES[key].capitalize())) if "pool" in frame.columns else frame


def base_sentence(estimates: pd.DataFrame, outcome: str, pool: str, name: str) -> str:
    """How far the estimate depends on the years it is measured from."""
    rows = estimates[(estimates["outcome"] == outcome) & (estimates["pool"] == pool)]
    rows = rows[rows["registered"] | rows["variant"].str.startswith("base: ")]
    low, high = rows.loc[rows["estimate"].idxmin()], rows.loc[rows["estimate"].idxmax()]
    sign = "The sign depends on that choice." if low["estimate"] < 0 < high["estimate"] else "The sign does not depend on that choice, the size does."
    return (f"{OUTCOME_NAMES[outcome].capitalize()}, {name} against {POOL_NAMES[pool]}: from {signed(low['estimate'])} points (base {low['base_years']}) to "
            f"{signed(high['estimate'])} points (base {high['base_years']}). {sign}")


def detectable_sentence(row: pd.Series, name: str) -> str:
    """The smallest effect that this design could have seen, in the area and in a supported pupil."""
    outcome, pool = OUTCOME_NAMES[row["outcome"]], POOL_NAMES[row["pool"]]
    if is_missing(row["area_detectable"]):
        return f"{outcome.capitalize()} against {pool}: with {row['n_placebos']} placebos no effect, however large, could have been found."
    area = (f"{outcome.capitalize()} against {pool}: the smallest fall that this design would have found with {number_text(100 * row['power'], 0)}% power "
            f"is {number_text(row['area_detectable'], 2)} points in the whole area. ")
    share = f"{number_text(100 * row['dilution'], 1)}% of the area's {number_text(row['enrolments'], 0)} enrolments"
    if row["outcome"] == "mean_absence":
        needed = (f"Support reached the equivalent of {share} for the whole year, so that absence of each supported pupil would have had to fall "
                  f"by {number_text(row['pupil_detectable'], 0)} points of their sessions during support")
    else:
        needed = (f"Pupils who started are {share}, so that {number_text(row['pupil_detectable'], 0)} of every 100 of them would have had to leave "
                  f"{outcome} for the whole year because of their mentor")
    best = f"{number_text(row['pupil_detectable_best'], 0)} under the most favourable values of the parameters"
    verdict = "" if row["attainable"] else ": more than there is" if not row["attainable_best"] else ": more than there is, unless every parameter is at its best"
    return f"{area}{needed} ({best}){verdict}."


def detectable_in_both(detectable: pd.DataFrame, outcome: str) -> str:
    """The smallest effect that could have been seen against either pool, in plain words."""
    rows = [row_of(detectable, outcome, pool) for pool in POOL_NAMES]
    if any(is_missing(row["area_detectable"]) for row in rows):
        return f"With pools as small as these no change in {OUTCOME_NAMES[outcome]}, however large, could have been found."
    area = " or ".join(f"{number_text(row['area_detectable'], 1)} points (against {POOL_NAMES[row['pool']]})" for row in rows)
    pupil = " or ".join(number_text(row["pupil_detectable"], 0) for row in rows)
    best = " or ".join(number_text(row["pupil_detectable_best"], 0) for row in rows)
    what = (f"{OUTCOME_NAMES[outcome]} of each supported pupil would have had to fall by {pupil} points of their sessions" if outcome == "mean_absence" else
            f"{pupil} of every 100 pupils who started would have had to leave {OUTCOME_NAMES[outcome]}")
    more = ". That is impossible, since all of their sessions are 100 points" if outcome == "mean_absence" else ". That is impossible"
    more = more if not any(row["attainable"] for row in rows) else ""
    reached = f"{number_text(100 * rows[0]['dilution'], 1)}% of enrolments"
    reached = f"Support reached the equivalent of {reached} for the whole year" if outcome == "mean_absence" else f"Pupils who started are {reached}"
    return (f"The smallest effect that this design could have seen (with {number_text(100 * rows[0]['power'], 0)}% power) is a fall in {OUTCOME_NAMES[outcome]} of the whole area "
            f"by {area}. {reached}. So {what}{more}. With every assumption at its most favourable it would be {best}.")


def checks_sentence(checks: pd.DataFrame) -> str:
    """How many published figures were recomputed, and with what result."""
    agree = int(checks["agrees"].sum())
    return (f"{int((checks['outcome'] != 'enrolments').sum())} published figures and {int((checks['outcome'] == 'enrolments').sum())} national totals were recomputed from the "
            f"bands; {agree} of {len(checks)} agree.")


def dilution_sentence(row: pd.Series, started: Quantity, months: Quantity, year_length: Quantity, plausible: Quantity, estimate: pd.Series) -> str:
    """What the effect that planning assumes would do to the area's mean, beside what chance does to it."""
    spread = estimate["placebo_sd"]
    if is_missing(row["plausible_area_shift"]):
        return f"{quantity_text(started)} started. The effect that planning assumes is one of mean absence and has no counterpart in {OUTCOME_NAMES[row['outcome']]}."
    return (f"{quantity_text(started)} started, with support in {quantity_text(months)} of {quantity_text(year_length)}. If each gained "
            f"{quantity_text(plausible)}, the area's mean absence would fall by {number_text(row['plausible_area_shift'], 3)} points "
            f"({number_text(row['plausible_area_shift_high'], 3)} at the highest value planned for). Authorities without mentors differ from their "
            f"comparison by {number_text(spread, 2)} points (standard deviation) in the same year: {number_text(spread / row['plausible_area_shift'], 0)} times as much. "
            f"Standing: {standings_text(started.standing, months.standing, year_length.standing, plausible.standing)}.")


def implied_sentence(row: pd.Series, estimate: pd.Series) -> str:
    """What an estimate would mean if all of it came from supported pupils: a check of whether it can be the programme's."""
    size = number_text(abs(row["effect_per_starter"]), 0)
    outcome = OUTCOME_NAMES[row["outcome"]]
    way = "risen" if estimate["estimate"] > 0 else "fallen"
    if row["outcome"] == "mean_absence":
        what = f"absence of each supported pupil would have to have {way} by {size} points of their sessions during support"
    else:
        what = f"{size} of every 100 pupils who started would have to have {'entered' if estimate['estimate'] > 0 else 'left'} {outcome}"
    return f"{outcome.capitalize()} against {POOL_NAMES[row['pool']]}: were all of the {signed(estimate['estimate'])} points due to mentoring, {what}."


def for_each(estimates: pd.DataFrame, say: Callable[[str, str], str]) -> str:
    """One line for each registered outcome and pool, as a list; ``say`` is given outcome and pool."""
    rows = estimates[estimates["registered"]]
    pairs = [(o, pool) for o in dict.fromkeys(rows["outcome"].sort_values(key=lambda names: names.map(list(OUTCOME_NAMES).index))) for pool in POOL_NAMES]
    return "\n".join(f"- {say(outcome, pool)}" for outcome, pool in pairs)


def effect_list(estimates: pd.DataFrame, name: str) -> str:
    """:func:`effect_sentence` of every registered estimate."""
    return for_each(estimates, lambda outcome, pool: effect_sentence(registered(estimates, outcome, pool), name))


def drift_list(estimates: pd.DataFrame, drift: pd.DataFrame, gaps: pd.DataFrame, name: str) -> str:
    """:func:`drift_sentence` of every outcome and pool."""
    return for_each(estimates, lambda outcome, pool: drift_sentence(row_of(drift, outcome, pool), gaps, name))


def base_list(estimates: pd.DataFrame, name: str) -> str:
    """:func:`base_sentence` of every outcome and pool."""
    return for_each(estimates, lambda outcome, pool: base_sentence(estimates, outcome, pool, name))


def detectable_list(estimates: pd.DataFrame, detectable: pd.DataFrame, name: str) -> str:
    """:func:`detectable_sentence` of every outcome and pool."""
    return for_each(estimates, lambda outcome, pool: detectable_sentence(row_of(detectable, outcome, pool), name))


def implied_list(estimates: pd.DataFrame, detectable: pd.DataFrame) -> str:
    """:func:`implied_sentence` of every outcome and pool."""
    return for_each(estimates, lambda outcome, pool: implied_sentence(row_of(detectable, outcome, pool), registered(estimates, outcome, pool)))


def gaps_alt(gaps: pd.DataFrame, name: str) -> str:
    """What the figure of levels by year shows, for readers who cannot see it."""
    parts = []
    for outcome in dict.fromkeys(gaps["outcome"]):
        rows = gaps[gaps["outcome"] == outcome].set_index(["pool", "academic_year"]).sort_index()
        years = sorted(gaps["academic_year"].unique())
        first, last = rows.loc[("all", years[0])], rows.loc[("all", years[-1])]
        near = rows.loc[("matched", years[-1])]
        parts.append(f"{OUTCOME_NAMES[outcome]} goes from {number_text(first['treated_value'], 1)} in {years[0]} to {number_text(last['treated_value'], 1)}% in "
                     f"{years[-1]} in {name}, from {number_text(first['comparison_value'], 1)} to {number_text(last['comparison_value'], 1)} in all authorities, and ends at "
                     f"{number_text(near['comparison_value'], 1)} in matched authorities")
    return f"Three lines by year for each outcome, with a break where a year has no figures: {'; '.join(parts)}."


def placebo_alt(placebos: pd.DataFrame, name: str) -> str:
    """What the figure of placebo effects shows, for readers who cannot see it."""
    parts = []
    for (outcome, pool), rows in placebos.groupby(["outcome", "pool"], sort=True):
        own = float(rows.loc[rows["role"] == "treated", "effect"].iloc[0])
        others = rows.loc[rows["role"] == "placebo", "effect"]
        parts.append(f"{OUTCOME_NAMES[outcome]} against {POOL_NAMES[pool]}, {signed(own)} points, above {int((others < own).sum())} of {len(others)} placebos that run "
                     f"from {signed(others.min())} to {signed(others.max())}")
    return f"A dot for each placebo authority and a diamond for {name}: {'; '.join(parts)}."


def gap_alt(gaps: pd.DataFrame, name: str) -> str:
    """What the figure of gaps within their placebo envelopes shows, for readers who cannot see it."""
    outside = gaps[(gaps["period"] != "base") & ((gaps["gap_from_base"] < gaps["placebo_low"]) | (gaps["gap_from_base"] > gaps["placebo_high"]))]
    listed = [f"{OUTCOME_NAMES[row['outcome']]} against {POOL_NAMES[row['pool']]} in {row['academic_year']} ({signed(row['gap_from_base'])} points)"
              for _, row in outside.iterrows()]
    after = gaps[gaps["period"] == "after"]
    ends = [f"{signed(row['gap_from_base'])} points for {OUTCOME_NAMES[row['outcome']]} against {POOL_NAMES[row['pool']]} in {row['academic_year']}" for _, row in after.iterrows()]
    return (f"The gap between {name} and each pool by year, measured from the base year, with a grey bar for the middle of the placebo authorities. "
            f"It ends at {'; '.join(ends)}. Outside its bar: {'; '.join(listed) or 'no year'}.")


def statements_list(protocol: AreaProtocol) -> str:
    """Facts that the report relies on, as a list, each with source and standing, and what the marks of standing mean."""
    report = protocol.report
    said = (*report.programme_facts, *report.other_programmes, *report.measurement_notes)
    lines = [f"- {statement.text} ({statement.source}) [{statement.standing}]" for statement in said]
    return "\n".join(lines) + f"\n\nStanding: {standings_text(*(statement.standing for statement in said))}."


def quantities_frame(impact: AreaImpactSection) -> pd.DataFrame:
    """Sourced numbers behind the smallest detectable effect: ``quantity, value, low, high, unit, standing, source``."""
    import pandas as pd

    named = [("Pupils who started support", impact.pupils_started), ("Time with support", impact.months_of_support), ("Length of a school year", impact.months_in_school_year),
             ("Effect that planning assumes", impact.plausible_effect)]
    rows = [(name, q.value, q.low, q.high, q.unit, STANDINGS[q.standing], q.source) for name, q in named]
    return pd.DataFrame(rows, columns=["quantity", "value", "low", "high", "unit", "standing", "source"])


def balance_sentence(balance: pd.DataFrame, name: str) -> str:
    """How like the treated authority each pool is on the characteristic that it is most unlike."""
    parts = []
    for pool in POOL_NAMES:
        rows = balance[(balance["pool"] == pool) & (balance["characteristic"] != "same_region")]
        worst = rows.loc[rows["difference_sd"].abs().idxmax()]
        label = CHARACTERISTIC_NAMES[worst["characteristic"]].removesuffix(" (%)")
        parts.append(f"{POOL_NAMES[pool]}, {number_text(abs(worst['difference_sd']), 1)} standard deviations on {label[0].lower()}{label[1:]} "
                     f"(place {worst['treated_rank']} from the top among {worst['pool_size'] + 1})")
    return f"Where {name} differs most from each pool: {'; '.join(parts)}."


def authorities_sentence(authorities: pd.DataFrame) -> str:
    """How many authorities the table holds, and what became of those that changed."""
    handled = authorities["handling"].value_counts()
    names = authorities.loc[authorities["handling"] == "left out: not in every year", "authority_name"]
    recoded = authorities.loc[authorities["handling"] == "kept: new code, same number", "authority_name"]
    return (f"The table holds {len(authorities)} three-digit numbers under {authorities['authority_name'].nunique()} names. "
            f"{handled.get('kept: unchanged', 0)} are unchanged in every year. {len(recoded)} kept its number and area when its nine-character code changed and is "
            f"followed through ({', '.join(recoded) or 'none'}). {len(names)} were created or abolished and are in no pool "
            f"({'; '.join(dict.fromkeys(names)) or 'none'}). {handled.get('no enrolments of this school type', 0)} has no school of this type.")


def unclassified_sentence(counts: pd.DataFrame) -> str:
    """How many enrolments have an unclassified characteristic and what is done with them."""
    rows = counts.set_index("step")
    some, used = rows.loc["used_unclassified", "enrolments"], rows.loc["used", "enrolments"]
    note: Any = rows.loc["used_unclassified", "note"]
    return (f"{number_text(some, 0)} of {number_text(used, 0)} enrolments ({number_text(100 * some / used, 2)}%) have an unclassified characteristic; they are "
            f"{str(note).split(': unclassified characteristics, ')[-1]}. Such rows are short enrolments with very high absence.")
