"""The headline block of the trial: verdict, effect, and what else belongs beside it, in the registered order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evaluation.impact.estimates import DAYS, POINTS
from evaluation.impact.verdict import NOT_ESTIMATED
from evaluation.reporting.headline import (
    HeadlineRow,
    headline_frame,
    higher_or_lower,
    interval_text,
    more_or_fewer,
    reading_of_interval,
)
from evaluation.reporting.text import SIMULATED, is_missing, number_text
from evaluation.reporting.trial_money import NO_EFFECTS, money, so_what
from evaluation.reporting.trial_sentences import attrition_rating, count_words, is_small, lower_first, one_row, smallest_count, usable, who
from evaluation.reporting.trial_tables import FAILS, HOLDS, UNCLEAR, registered_checks

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.trial import TrialProtocol

LABEL_SENTENCES = {
    "simulated": f"{SIMULATED}: made from simulated pupils with a known effect.",
    "published": "Made from published statistics.",
    "restricted": "Restricted: made from pupils' records and not cleared for release.",
}
KIND_WORDS = {"formative": "Formative report", "interim": "Interim report", "final": "Final report"}

NOT_CHECKED = (
    ("placebo_cohort", "a placebo cohort (pupils whom no mentor can have helped)"),
    ("negative_controls", "negative controls (what mentoring cannot change)"),
)
"""Checks that every verdict should have passed, and what each is, for a protocol that does not register one of them."""

OFFER, REFERRAL = "A", "B"
LEAD_SENTENCES = {
    OFFER: "By the registered rule the first effect is worked out from all eligible pupils, so it does not depend on how pupils were chosen.",
    REFERRAL: "This depends on how pupils were chosen: if mentors were sent to pupils who were known to be getting worse, or better, it is wrong. It leads by the "
              "registered rule, because an effect of the size looked for is too small to be seen among all eligible pupils.",
}  # fmt: skip
OTHER_LEADS = "the registered appraisal values the effect on pupils referred, which does not lead here"
NOT_THEIRS = " The effect above must not be read as theirs."
NO_EFFECT_STAGES = "this formative run leaves out the stages that estimate effects"


def trial_headline(tables: Mapping[str, pd.DataFrame], protocol: TrialProtocol, *, label: str) -> pd.DataFrame:
    """Build the headline block from result rows.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        ``estimates, impact_diagnostics, robustness_checks, cohort_flow, attrition, delivery_reach, costs_by_perspective, appraisal``, and
        ``subgroups`` where the study registers them. Those of the stages that a formative run leaves out have no rows.
    protocol : TrialProtocol
        The registered protocol.
    label : {"simulated", "published", "restricted"}
        Standing of the data.

    Returns
    -------
    pandas.DataFrame
        Table ``headline``. Where the verdict is "Cannot be estimated" no effect, and nothing worked out from one, is printed.
    """
    wording, reason = verdict_of(tables["impact_diagnostics"])
    estimable = wording != NOT_ESTIMATED
    value = protocol.value_for_money
    appraisal, withheld = usable(tables["appraisal"], wording), NO_EFFECTS
    if estimable and lead_estimand(tables["impact_diagnostics"]) != value.estimand_by_denominator[value.denominator]:
        appraisal, withheld = appraisal.iloc[:0], OTHER_LEADS
    rows = [
        HeadlineRow("label", f"{LABEL_SENTENCES[label]} {KIND_WORDS[protocol.report_kind]}."),
        HeadlineRow("verdict", f"{wording}: {reason}" if not estimable else wording, source_table="impact_diagnostics", source_key="study, verdict"),
        *(_checks(tables["robustness_checks"]) if estimable else ()),
        *(effects(tables["estimates"], tables["impact_diagnostics"], protocol) if estimable else _no_effect(reason)),
        *who(tables["cohort_flow"], tables["delivery_reach"], smallest_count(protocol), _leading_days(tables) if estimable else None),
        _greatest_need(tables, protocol) if estimable else HeadlineRow("greatest_need", "No effect on severely absent pupils is stated, for the same reason."),
        *money(appraisal, tables["costs_by_perspective"], value.perspective, value.denominator, protocol.report.break_even_scenario, withheld),
        *(_how_sure(tables, protocol) if estimable else [HeadlineRow("how_sure", "No effect is stated, so there is none to be sure or unsure of.")]),
        *so_what(wording, appraisal, protocol.report, withheld),
        _provenance(protocol),
    ]
    return headline_frame(rows)


def verdict_of(diagnostics: pd.DataFrame) -> tuple[str, str]:
    """Return the verdict's fixed wording and its reason from table ``impact_diagnostics``."""
    row = one_row(diagnostics, "impact_diagnostics", analysis="study", item="verdict")
    if row is None:
        return NOT_ESTIMATED, NO_EFFECT_STAGES
    reason = one_row(diagnostics, "impact_diagnostics", analysis="study", item="verdict_reason")
    return str(row["text"]), str(reason["text"]) if reason is not None else "no reason was recorded"


def _checks(checks: pd.DataFrame) -> list[HeadlineRow]:
    """Say how many registered checks stand behind the verdict and which of them do not hold, and what was not registered."""
    own = registered_checks(checks)
    rows = []
    if len(own):
        names = {outcome: [lower_first(words) for words in own.loc[own["outcome"].eq(outcome), "words"]] for outcome in (HOLDS, FAILS, UNCLEAR)}
        held, failed, vague = (len(names[outcome]) for outcome in (HOLDS, FAILS, UNCLEAR))
        said = [f"{'all' if held == len(own) > 1 else held} {'holds' if held == 1 else 'hold'}"]
        said += [f"{failed} {'do' if failed > 1 else 'does'} not hold" if failed else "none fails"] if failed or vague else []
        said += [f"{vague} {'are' if vague > 1 else 'is'} {UNCLEAR}"] if vague else []
        doubt = "".join(f" {lead}: {'; '.join(names[outcome])}." for lead, outcome in (("Not holding", FAILS), ("Too imprecise to say whether", UNCLEAR)) if names[outcome])
        rows.append(HeadlineRow(
            "verdict_checks",
            f"Behind this verdict stand the interval of the effect and {len(own)} registered {'check' if len(own) == 1 else 'checks'}: {', '.join(said)}.{doubt}",
            held, unit="checks that hold", source_table="robustness_checks", source_key="; ".join(own["name"]),
        ))  # fmt: skip
    lacking = [words for name, words in NOT_CHECKED if name not in set(own["name"])]
    if lacking:
        rows.append(HeadlineRow("verdict_not_included", f"Not registered, so the verdict has not passed it: {'; '.join(lacking)}."))
    return rows


def _greatest_need(tables: Mapping[str, pd.DataFrame], protocol: TrialProtocol) -> HeadlineRow:
    """Say what the effect is among pupils severely absent when they were chosen, with how many they are, or why nothing is said."""
    subgroups = tables.get("subgroups")
    found = leading_rows(tables["estimates"], level="referred", estimand=lead_estimand(tables["impact_diagnostics"]))
    if subgroups is None or len(subgroups) == 0 or found is None:
        return HeadlineRow("greatest_need", f"The effect on severely absent pupils is not estimated in this run.{NOT_THEIRS}")
    own = subgroups.loc[subgroups["subgroup"].eq("severity") & subgroups["group"].eq("severe")]
    stem = f"{found[0]['estimand']}_"
    row = next((row for row in own.to_dict("records") if str(row["analysis"]).startswith(stem)), None)
    if row is None:
        return HeadlineRow("greatest_need", f"No referred pupil who could be analysed missed half of the sessions when chosen.{NOT_THEIRS}")
    threshold = smallest_count(protocol)
    few = is_small(row["n_treated"], threshold) or is_small(row["n_comparison"], threshold)
    counts = f"{count_words(row['n_treated'], threshold)} {'eligible' if stem == 'A_' else 'referred'} pupils who missed half of their sessions or more when chosen"
    if not is_small(row["n_treated"], threshold):  # with two partners each, the number of partners would tell how few they are
        counts = f"{counts}, set beside {count_words(row['n_comparison'], threshold)} like them"
    source = {"source_table": "subgroups", "source_key": f"{row['analysis']}, severity, severe"}
    if few or is_missing(row["estimate"]) or is_missing(row["conf_low"]):
        known = None if is_small(row["n_treated"], threshold) else float(row["n_treated"])
        return HeadlineRow("greatest_need", f"Too few to say: {counts}.{NOT_THEIRS}", known, unit="pupils", **source)
    unclear = " No clear evidence either way." if row["conf_low"] <= 0 <= row["conf_high"] else ""
    return HeadlineRow(
        "greatest_need",
        f"{higher_or_lower(row['estimate']).capitalize()} attendance among {counts} ({interval_text(row['conf_low'], row['conf_high'], protocol.impact.confidence_level)}).{unclear}",
        row["estimate"], row["conf_low"], row["conf_high"], POINTS, **source)  # fmt: skip


def _leading_days(tables: Mapping[str, pd.DataFrame]) -> Mapping[str, Any] | None:
    """Return the row of the effect that leads, in days, or None."""
    found = leading_rows(tables["estimates"], level="referred", estimand=lead_estimand(tables["impact_diagnostics"]))
    return None if found is None else found[0]


def lead_estimand(diagnostics: pd.DataFrame) -> str:
    """Return the estimand that leads by the registered rule: "A", the offer, or "B", referred pupils."""
    row = one_row(diagnostics, "impact_diagnostics", analysis="study", item="lead_estimand")
    return OFFER if row is not None and row["value"] == 1.0 else REFERRAL


def leading_rows(estimates: pd.DataFrame, *, level: str, estimand: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return the leading estimate of a level in days and in points, or None."""
    leading = estimates.loc[estimates["headline"].astype(bool)]
    days, points = (one_row(leading, "estimates", level=level, estimand=estimand, scale=scale) for scale in (DAYS, POINTS))
    return None if days is None or points is None else (days, points)


def effects(estimates: pd.DataFrame, diagnostics: pd.DataFrame, protocol: TrialProtocol) -> list[HeadlineRow]:
    """Return the effect on referred pupils, on all eligible and on those who started, and what would have happened anyway.

    Parameters
    ----------
    estimates, diagnostics : pandas.DataFrame
        Tables ``estimates`` and ``impact_diagnostics``.
    protocol : TrialProtocol
        Gives the length of the measured window.
    """
    lead = lead_estimand(diagnostics)
    window = f"the {protocol.cohort.measured_length} half-terms measured"
    referred = leading_rows(estimates, level="referred", estimand=lead)
    rows = []
    if referred is None:
        rows.append(HeadlineRow("effect", "The effect on pupils referred was not estimated in this run."))
    else:
        days, points = referred
        reading = reading_of_interval(days["conf_low"], days["conf_high"], "days")
        rows.append(_effect_row(
            "effect", days,
            f"Pupils referred attended {more_or_fewer(days['estimate'])} days per pupil over {window} than similar pupils with usual "
            f"support ({_interval(days)}; {number_text(points['estimate'], 1)} percentage points of sessions).{' ' if reading else ''}{reading}",
        ))  # fmt: skip
        rows.append(HeadlineRow("effect_lead", LEAD_SENTENCES[lead], source_table="impact_diagnostics", source_key="study, lead_estimand"))
    for key, level, estimand, words, more in (
        ("effect_eligible", "eligible", OFFER, "All eligible pupils in schools with mentors, referred or not", ""),
        ("effect_started", "started", REFERRAL, "Pupils who started", " This is worked out from the effect on pupils referred and shares its weaknesses."),
    ):
        found = leading_rows(estimates, level=level, estimand=estimand)
        if found is not None:
            days, points = found
            unclear = " No clear evidence either way." if days["conf_low"] <= 0 <= days["conf_high"] else ""
            text = (
                f"{words}: {more_or_fewer(days['estimate'])} days per pupil over {window} ({_interval(days)}; "
                f"{number_text(points['estimate'], 1)} points).{unclear}{more}"
            )
            rows.append(_effect_row(key, days, text))
    return [*rows, *_counterfactual(referred, diagnostics, lead)]


def _effect_row(key: str, days: Mapping[str, Any], text: str) -> HeadlineRow:
    return HeadlineRow(key, text, days["estimate"], days["conf_low"], days["conf_high"], DAYS, "estimates", days["estimate_id"])


def _interval(row: Mapping[str, Any]) -> str:
    return interval_text(row["conf_low"], row["conf_high"], row["conf_level"])


def _counterfactual(referred: tuple[Mapping[str, Any], Mapping[str, Any]] | None, diagnostics: pd.DataFrame, lead: str) -> list[HeadlineRow]:
    if referred is None:
        return []
    analysis = _analysis(referred[0])
    theirs = one_row(diagnostics, "impact_diagnostics", analysis=analysis, item="change_treated")
    others = one_row(diagnostics, "impact_diagnostics", analysis=analysis, item="change_comparison")
    if theirs is None or others is None:
        return []
    whose = "pupils referred" if lead == REFERRAL else "all eligible pupils in schools with mentors"
    return [HeadlineRow(
        "counterfactual",
        f"From the half-terms measured before to the same half-terms a year later, the attendance of {whose} {_moved(theirs['value'])}; that of "
        f"similar pupils with usual support {_moved(others['value'])}. Pupils enter at their first bad half-term, so both groups start "
        "from better attendance. The first number alone is no effect.",
        others["value"], unit="percentage points of sessions attended", source_table="impact_diagnostics",
        source_key=f"{analysis}, change_comparison",
    )]  # fmt: skip


def _moved(points: float) -> str:
    return f"{'fell' if points < 0 else 'rose'} by {number_text(abs(points), 1)} points"


def _analysis(row: Mapping[str, Any]) -> str:
    """Return the name under which the diagnostics of an estimate stand."""
    return str(row["estimate_id"]).removesuffix("_points").removesuffix("_days")


def _no_effect(reason: str) -> list[HeadlineRow]:
    return [HeadlineRow("effect", f"No effect is stated: {reason}.")]


def _how_sure(tables: Mapping[str, pd.DataFrame], protocol: TrialProtocol) -> list[HeadlineRow]:
    diagnostics = tables["impact_diagnostics"]
    found = leading_rows(tables["estimates"], level="referred", estimand=lead_estimand(diagnostics))
    rows = attrition_rating(tables["attrition"], protocol.report, None if found is None else found[0].get("unmatched"))
    if found is not None:
        analysis = _analysis(found[0])
        days = one_row(diagnostics, "impact_diagnostics", analysis=analysis, item="smallest_detectable_days")
        if days is not None and not is_missing(days["value"]):
            rows.append(HeadlineRow(
                "how_sure_detectable",
                f"The smallest effect that the study could detect is {number_text(days['value'], 1)} days per pupil referred over the half-terms "
                f"measured ({days['text']}).",
                days["value"], unit=DAYS, source_table="impact_diagnostics", source_key=f"{analysis}, smallest_detectable_days",
            ))  # fmt: skip
    return [*rows, HeadlineRow("how_sure_threat", f"Largest threat: {largest_threat(tables['robustness_checks'], diagnostics)}.")]


def largest_threat(checks: pd.DataFrame, diagnostics: pd.DataFrame) -> str:
    """Return the largest threat by rule: the first registered check that failed, else what the leading estimand assumes."""
    failed = registered_checks(checks).query("outcome == @FAILS")
    if len(failed):
        return f"a registered check failed, for it does not hold that {lower_first(failed['words'].iloc[0])}"
    if lead_estimand(diagnostics) == REFERRAL:
        return "pupils may have been chosen for reasons that the registers do not hold"
    return "mentoring may have touched eligible pupils who were not referred"


def why_before_and_after_misleads(arms: pd.DataFrame, estimates: pd.DataFrame, diagnostics: pd.DataFrame) -> str:
    """Say in two sentences, from the numbers of this run, why a before-and-after figure of pupils referred is no effect.

    Parameters
    ----------
    arms : pandas.DataFrame
        ``event_time, mentored, comparison``: mean absence (percentage of sessions) by half-term, 0 being the one in which pupils were chosen.
    estimates, diagnostics : pandas.DataFrame
        Tables ``estimates`` and ``impact_diagnostics``.
    """
    chosen, last = arms.loc[arms["event_time"].eq(0)], arms.iloc[-1]
    found = leading_rows(estimates, level="referred", estimand=REFERRAL)
    analysis = "" if found is None else _analysis(found[0])
    theirs = one_row(diagnostics, "impact_diagnostics", analysis=analysis, item="change_treated")
    others = one_row(diagnostics, "impact_diagnostics", analysis=analysis, item="change_comparison")
    said = []
    if len(chosen):
        first = chosen.iloc[0]
        fell = last["mentored"] < first["mentored"] and last["comparison"] < first["comparison"]
        reading = "much of a bad spell passes with or without a mentor" if fell else "what follows a bad spell is no effect by itself"
        said.append(
            f"Pupils are chosen for a bad half-term, in which pupils referred missed {number_text(first['mentored'], 1)}% of sessions and similar "
            f"pupils {number_text(first['comparison'], 1)}%; {number_text(int(last['event_time']), 0)} half-terms later they missed "
            f"{number_text(last['mentored'], 1)}% and {number_text(last['comparison'], 1)}%, so {reading}."
        )
    if theirs is not None and others is not None:
        looks = "harm" if theirs["value"] < 0 else "success"
        said.append(
            f"Set against the same half-terms a year earlier, the attendance of pupils referred {_moved(theirs['value'])}, which alone would look "
            f"like {looks}, but that of similar pupils with usual support {_moved(others['value'])}: only the difference can be an effect."
        )
    return " ".join(said) or "A before-and-after figure cannot be set beside similar pupils in this run, so none is shown."


def truth_sentence(truth: pd.DataFrame, estimates: pd.DataFrame, diagnostics: pd.DataFrame) -> str:
    """Set the leading estimate beside the true effect, which only simulated data have.

    Parameters
    ----------
    truth, estimates, diagnostics : pandas.DataFrame
        Tables ``truth_comparison``, ``estimates`` and ``impact_diagnostics``.

    Returns
    -------
    str
        That there is no truth to compare with, when there is none.
    """
    found = leading_rows(estimates, level="referred", estimand=lead_estimand(diagnostics))
    row = None if found is None else one_row(truth, "truth_comparison", estimate_id=found[0]["estimate_id"])
    if row is None:
        return "There is no truth to compare with."
    holds = "holds" if bool(row["covered"]) else "does not hold"
    return (
        f"The true effect on pupils referred, known because the data are simulated, is {number_text(row['truth'], 1)} days over the "
        "half-terms measured. The estimate is "
        f"{number_text(row['estimate'], 1)} days; its interval ({number_text(row['conf_low'], 1)} to {number_text(row['conf_high'], 1)}) "
        f"{holds} the truth. One run proves little either way: a method is judged over many."
    )


def _provenance(protocol: TrialProtocol) -> HeadlineRow:
    changes = protocol.amendments
    seen = sum(change.outcomes_seen for change in changes)
    periods = protocol.value_for_money.study_periods
    amended = "no changes since registration" if not changes else f"{len(changes)} changes since registration, {seen} of them after outcomes were seen"
    return HeadlineRow(
        "provenance",
        f"Study {protocol.study}, protocol version {protocol.protocol_version}, registered on {protocol.registered_on:%d %B %Y}, {amended}; data to the "
        f"end of {periods[-1]}. The run and the protocol's digest stand under \"About this report\".",
    )
