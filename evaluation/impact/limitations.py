"""Limitations by rule: each is stated because a number of the run says so, never because somebody chose to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from evaluation.impact.diagnostics import LIMITATIONS
from evaluation.impact.estimates import FIRST_YEAR, FRAGILE, NO_AREA_SHOCKS, POINTS, PRIMARY, NotEstimated
from evaluation.impact.outcomes import ANNUAL
from evaluation.impact.judge import IMPRECISE
from evaluation.inference.decision import RANDOMISATION
from evaluation.inference.regression import MOST_OF_A_TERM, TOO_FEW_CLUSTERS
from evaluation.protocol.trial import ImpactSection

COLUMNS = ["position", "rule", "triggered", "value", "unit", "text"]
POINT, SCHOOLS, PUPILS, SHARE = "percentage points of sessions", "schools", "pupils", "share"

Line = tuple[str, bool, float | None, str | None, str]


def limitations(estimates: pd.DataFrame, diagnostics: pd.DataFrame, checks: pd.DataFrame, bounds: pd.DataFrame, *, entries: str, rules: ImpactSection,
                refused: NotEstimated) -> pd.DataFrame:
    """Apply every rule to the run's own tables.

    Parameters
    ----------
    estimates, diagnostics, checks, bounds : DataFrame
        Tables ``estimates``, ``impact_diagnostics``, ``robustness_checks`` and ``honest_bounds``.
    entries : {"first", "risk_set"}
        Which windows of a pupil were used.
    rules : ImpactSection
    refused : NotEstimated

    Returns
    -------
    DataFrame
        Table ``limitations``: a row a rule, those that hold first. ``value`` is the number that the rule looks at; ``text`` is what to say
        where ``triggered``, else why it need not be said.
    """
    lead = _lead(estimates, diagnostics)
    analysis = ("A_eligible" if lead["estimand"] == "A" else "B_referred") + f"_{lead['design']}_" + ("risk_weighted" if lead["estimand"] == "A" else "matched")
    numbers = diagnostics.loc[diagnostics["analysis"].isin([analysis, lead["estimate_id"].removesuffix("_points")])].drop_duplicates("item").set_index("item")

    def value(item: str) -> float:
        return float(numbers.loc[item, "value"]) if item in numbers.index and pd.notna(numbers.loc[item, "value"]) else np.nan

    lines = [*_on_selection(lead, estimates, entries), *_on_inference(lead, value, numbers, rules), *_on_trends(lead, value, bounds),
             *_on_measurement(lead, estimates, value, refused), *_on_checks(checks), *_on_what_is_missing(lead, estimates, refused)]
    table = pd.DataFrame(lines, columns=COLUMNS[1:])
    table = table.sort_values("triggered", ascending=False, kind="stable", ignore_index=True)
    return table.assign(position=np.arange(1, len(table) + 1))[COLUMNS].astype({"value": float})


def _lead(estimates: pd.DataFrame, diagnostics: pd.DataFrame) -> pd.Series:
    offer = diagnostics.loc[diagnostics["item"] == "lead_estimand", "value"].iloc[0] == 1.0
    rows = estimates.loc[estimates["headline"].astype(bool) & (estimates["scale"] == POINTS) & (estimates["level"] == "referred")
                         & (estimates["estimand"] == ("A" if offer else "B"))]
    return rows.iloc[0]


def _on_selection(lead: pd.Series, estimates: pd.DataFrame, entries: str) -> list[Line]:
    by_referral = lead["estimand"] == "B"
    offer = estimates.loc[estimates["headline"].astype(bool) & (estimates["scale"] == POINTS) & (estimates["level"] == "eligible")].iloc[0]
    opposite = bool(by_referral and offer["estimate"] * lead["estimate"] < 0)
    return [
        ("choice_of_pupils", by_referral, None, None,
         "The leading effect depends on how pupils were chosen. Whoever referred them may have known more than the registers do: where mentors are sent to "
         "pupils known to be declining, or to be improving already, its interval hardly ever holds the truth in simulation." if by_referral else
         "The leading effect does not depend on how pupils were chosen among the eligible."),
        ("entry_rule", by_referral, None, None, LIMITATIONS[entries][1]),
        ("offer_points_elsewhere", opposite, float(offer["estimate"]), POINT,
         f"The effect over all eligible pupils points {'the other' if opposite else 'the same'} way: {offer['estimate']:.2f} points"
         f"{_between(offer)}."),
        ("started_is_derived", True, None, None,
         "Effects on pupils who started are divided out of the effect on referred pupils: starting was not random, so they share its weaknesses."),
    ]


def _between(row: pd.Series) -> str:
    return f" ({row['conf_low']:.2f} to {row['conf_high']:.2f})" if row[["conf_low", "conf_high"]].notna().all() else ""


def _on_inference(lead: pd.Series, value: Callable[[str], float], numbers: pd.DataFrame, rules: ImpactSection) -> list[Line]:
    fragile = lead["test"] == RANDOMISATION
    effective, leverage, detectable = value("effective_clusters"), value("largest_partial_leverage"), value("smallest_detectable_effect")
    disagree = value("tests_disagree") == 1.0
    few, heavy, blunt = effective < TOO_FEW_CLUSTERS, leverage > MOST_OF_A_TERM, detectable > rules.offer_leads_up_to
    return [
        ("fragile_inference", fragile, float(lead["df"]), "degrees of freedom", f"{FRAGILE.capitalize()}: {lead['test_reason']}" if fragile else lead["test_reason"]),
        ("few_effective_schools", few, effective, SCHOOLS, f"The effect rests on {effective:.1f} effective schools{', fewer than' if few else ', at least'} "
         f"{TOO_FEW_CLUSTERS}."),
        ("one_school_weighs_most", heavy, leverage, SHARE, f"One school holds {leverage:.0%} of what tells the effect."),
        ("tests_disagree", disagree, None, None, str(numbers.loc["tests_disagree", "text"]) if "tests_disagree" in numbers.index else "no test beside it"),
        ("could_have_missed", blunt, detectable, POINT, f"The smallest effect that would have been seen is {detectable:.1f} points, "
         f"{'above' if blunt else 'within'} the {rules.offer_leads_up_to:g} points that were thought plausible."),
        ("area_shocks", lead["design"] == "between_areas", None, None,
         f"{NO_AREA_SHOCKS.capitalize()}." if lead["design"] == "between_areas" else
         "Schools are compared inside their area, so that what befell a whole area is shared by both arms; between areas it is not, and the interval there "
         "leaves it out."),
    ]


def _on_trends(lead: pd.Series, value: Callable[[str], float], bounds: pd.DataFrame) -> list[Line]:
    unseen = value("pre_trend_detectable_bias")
    own = bounds.loc[(bounds["design"] == lead["design"]) & (bounds["kind"] == "relative_magnitude")]
    breakdown = value("honest_relative_magnitude_breakdown")
    hidden = unseen >= abs(lead["estimate"])
    lines = [("trend_could_hide", hidden, unseen, POINT,
              f"A drift between the two groups that would have added {unseen:.1f} points by itself could have gone unseen before the window"
              f"{', as much as the effect or more' if hidden else ', less than the effect'}.")] if np.isfinite(unseen) else []
    if np.isfinite(breakdown):
        said = ("If the groups drift apart at all after the window, the bounds of the effect hold zero." if breakdown == 0 else
                f"The sign of the effect is established only while the groups drift apart by less than {breakdown:.2f} times the largest step seen before the "
                "window, each half-term.")
        lines.append(("bounds_break_early", breakdown < 1.0, breakdown, "multiple of the largest step before the window, per half-term", said))
    elif own.empty:
        lines.append(("no_bounds", True, None, None, "No bounds could be stated for trends that are not parallel."))
    illustrative = bool(len(own) and own["illustrative"].iloc[0])
    if illustrative:
        lines.append(("bounds_illustrate", True, None, None, str(own["text"].iloc[0])))
    return lines


def _on_measurement(lead: pd.Series, estimates: pd.DataFrame, value: Callable[[str], float], refused: NotEstimated) -> list[Line]:
    shorter, unmatched = value("measured_shorter"), float(lead["unmatched"])
    share = unmatched / (unmatched + lead["n_treated"])
    same = estimates.loc[(estimates["estimand"] == lead["estimand"]) & (estimates["design"] == lead["design"]) & (estimates["part"] == "all stacks")]
    possible = same.loc[same["outcome"] == "possible_of_open"]
    moved = bool(len(possible) and (possible["conf_low"].iloc[0] > 0 or possible["conf_high"].iloc[0] < 0))
    annual = estimates["outcome"].eq(ANNUAL).any()
    reason = next((said for key, said in refused.items() if key.endswith(ANNUAL)), "not asked for")
    return [
        ("first_half_term_of_support", True, None, None,
         "Support begins in the half-term after the window, which is not measured: what it does there, and after the follow-up, is in no estimate."),
        ("unmatched", unmatched > 0, share, SHARE, f"{unmatched:.0f} pupils with mentors ({share:.0%}) stand in no comparison, and the effect is not about them."),
        ("measured_shorter", shorter > 0, shorter, PUPILS, f"{shorter:.0f} pupils were measured over fewer half-terms at both ends, because Year 11 ended."),
        ("possible_sessions_moved", moved, float(possible["estimate"].iloc[0]) if len(possible) else None, "percentage points of sessions open",
         "The share of sessions that pupils could attend changed with mentoring, so that rates of absence alone may mislead." if moved else
         "The share of sessions that pupils could attend did not clearly change, or was not measured."),
        ("window_is_not_a_year", True, None, None,
         "Days are those of the half-terms measured, and persistent absence over a window is not the annual measure" +
         ("; the estimate over full academic years is about the fewer pupils who have two such years." if annual else
          f"; over a full academic year it could not be estimated: {reason}.")),
    ]


def _on_checks(checks: pd.DataFrame) -> list[Line]:
    lines = []
    for row in checks.loc[checks["registered"].astype(bool)].to_dict("records"):
        unsure = row["text"].endswith(IMPRECISE)
        said = "could not tell" if unsure else "passed" if row["passed"] else "did not pass"
        lines.append((f"check_{row['name']}", not row["passed"], row["value"], row["unit"] if isinstance(row["unit"], str) else None,
                      f"A registered check {said}: {row['text']}."))
    return lines


def _on_what_is_missing(lead: pd.Series, estimates: pd.DataFrame, refused: NotEstimated) -> list[Line]:
    first = estimates.loc[(estimates["part"] == FIRST_YEAR) & (estimates["scale"] == POINTS) & (estimates["outcome"] == PRIMARY)
                          & (estimates["estimand"] == lead["estimand"]) & (estimates["design"] == lead["design"]) & (estimates["level"] == lead["level"])]
    return [
        ("first_year_apart", not len(first), None, None, "The programme's first year, in which it was tested and refined, is shown apart from later years."
         if len(first) else "The programme's first year cannot be told apart from later years."),
        ("not_estimated", bool(refused), float(len(refused)), "estimates", f"Secondary estimates that could not be made: {len(refused)}. Each stands with its reason among the diagnostics." if refused else
         "Every secondary estimate could be made."),
    ]
