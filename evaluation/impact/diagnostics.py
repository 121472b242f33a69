"""What stands behind the estimates: changes in either arm, what could have been seen, and what the registered choices cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from evaluation.errors import UnidentifiedError
from evaluation.impact.change import days_over_window, estimate_change, smallest_detectable_effect
from evaluation.impact.comparisons import BEFORE_AFTER, MATCHED, PER_REFERRED, RISK_WEIGHTED, Estimated
from evaluation.impact.decision import FRAGILE
from evaluation.impact.robustness import test_lines
from evaluation.protocol.trial import ImpactSection

ATTENDED = "percentage points of sessions attended"

FIRST_STACKS, LATER_STACKS = "first stack of each area", "later stacks"
BESIDE = "shown beside the headline, never in its place"

LIMITATIONS = {
    "first": ("limitation_first_entry",
              "A pupil enters at the first half-term that meets the rule, so whoever enters later had been below the threshold in every half-term since the "
              "area opened, and those half-terms are part of the baseline. If mentors are sent to pupils whose absence is lasting, such a baseline looks "
              "better than these pupils usually are, more so than among similar pupils, and the effect on referred pupils is understated. Pupils chosen "
              "in an area's first half-term are free of this."),
    "matched_history": ("limitation_matched_history",
                        "A pupil enters at every half-term that meets the rule, beside pupils who had met it as often since the area opened. That history is "
                        "part of the baseline: if mentors are sent to pupils whose absence is lasting, their baseline looks better than they usually are, "
                        "more so than among similar pupils, and the effect on referred pupils is understated."),
    "risk_set": ("limitation_risk_set",
                 "A pupil enters at every half-term that meets the rule. Pupils referred before are then missing among the referred and not among "
                 "similar pupils, so that first entrants are compared with pupils of any order, and the effect on referred pupils is understated."),
}
"""By ``matching.entries``: the bias that comes with the registered choice, as an item of table ``impact_diagnostics``."""


def impact_diagnostics(found: list[Estimated], *, rules: ImpactSection, tests: pd.DataFrame | None = None,
                       refused: dict[str, str] | None = None) -> pd.DataFrame:
    """Table ``impact_diagnostics``: what stands behind each comparison, one number a row.

    ``change_treated`` is the before-and-after figure of the treated. It is no effect: ``change_comparison`` says what would have
    happened anyway. With ``tests`` (table ``robustness_tests``) the registered comparisons also say which test decides, whether the tests
    beside it agree, and on how many schools the effect rests. With ``refused`` every secondary estimate that could not be made has a row
    with its reason.
    """
    lines = []
    for item in found:
        change = item.change
        detectable = smallest_detectable_effect(item.std_error, change.df, confidence_level=rules.confidence_level, power=rules.power)
        shorter = _measured_shorter(change.rows)
        rows = [
            ("change_treated", change.change_treated, ATTENDED, BEFORE_AFTER),
            ("change_comparison", change.change_comparison, ATTENDED, "what would have happened anyway"),
            ("degrees_of_freedom", change.df, "degrees of freedom", None),
            ("schools_treated", change.schools_treated, "schools", None),
            ("effective_n_comparison", change.effective_n, "pupils", None),
            ("unmatched", item.unmatched, "pupils", None),
            ("followup_sessions", change.followup_sessions, "possible sessions a pupil", None),
            ("measured_shorter", shorter, "pupils", f"of {change.n_treated} pupils were measured over fewer half-terms at both ends, because Year 11 ended"),
            ("divided_by", item.share, "share", None if item.share == 1.0 else f"{len(item.about)} of {change.n_treated} pupils"),
            ("smallest_detectable_effect", detectable, "percentage points of sessions", f"at {rules.power:.0%} power"),
            ("smallest_detectable_days", days_over_window(detectable, change.followup_sessions), "days over the measured window", f"at {rules.power:.0%} power"),
            ("design_criteria_hold", float(not item.decision.fragile), "1 yes, 0 no", f"{FRAGILE}: {item.decision.reason}" if item.decision.fragile else None),
        ]
        if tests is not None and item.comparison.method in (MATCHED, RISK_WEIGHTED):
            rows += test_lines(item, tests)
        lines += [(item.comparison.key, *row) for row in rows]
        if _leads_on_referred(item):
            lines += _stack_lines(item, rules)
    lines.append(_lead(found, rules))
    lines += [(key, "not_estimated", None, None, reason) for key, reason in (refused or {}).items()]
    name, said = LIMITATIONS[found[0].entries]
    lines.append(("study", name, None, None, said))
    return pd.DataFrame(lines, columns=["analysis", "item", "value", "unit", "text"])


def pupils_behind(diagnostics: pd.DataFrame, estimates: pd.DataFrame) -> pd.DataFrame:
    """The diagnostics with the numbers of pupils behind each row's analysis, so that none leaves that rests on too few.

    Parameters
    ----------
    diagnostics, estimates : DataFrame
        Tables ``impact_diagnostics`` and ``estimates``.

    Returns
    -------
    DataFrame
        With ``n_treated, n_comparison``; missing for rows of no single analysis, or of one that could not be estimated.
    """
    counts = estimates.set_index("estimate_id")[["n_treated", "n_comparison"]].reindex(diagnostics["analysis"] + "_points")
    return diagnostics.assign(**{name: counts[name].to_numpy() for name in counts}).astype({"n_treated": "Int64", "n_comparison": "Int64"})


def _measured_shorter(rows: pd.DataFrame) -> int:
    """Treated rows with fewer measured half-terms than the study measures."""
    return int((rows.loc[rows["treated"] == 1, "half_terms_measured"] < rows["half_terms_measured"].max()).sum())


def _leads_on_referred(item: Estimated) -> bool:
    return item.comparison.headline and item.comparison.method == MATCHED


def _stack_lines(item: Estimated, rules: ImpactSection) -> list[tuple]:
    lines = []
    for row in stacks_apart([item], rules=rules).to_dict("records"):
        name = "first_stacks" if row["stacks"] == FIRST_STACKS else "later_stacks"
        units = {**dict.fromkeys(("estimate", "conf_low", "conf_high"), ATTENDED), "df": "degrees of freedom", "n_treated": "pupils", "n_comparison": "pupils"}
        lines += [(item.comparison.key, f"{name}_{what}", row[what], unit, f"{row['stacks']}: {BESIDE}") for what, unit in units.items()]
    return lines


def stacks_apart(found: list[Estimated], *, rules: ImpactSection) -> pd.DataFrame:
    """The leading effect on referred pupils in the first stack of each area and in later ones: shown beside the headline.

    In the first stack after an area opened, entry says nothing about earlier half-terms. First entrants of later stacks had been
    below the threshold since, which understates the effect where referral follows lasting absence.

    Parameters
    ----------
    found : list of Estimated
    rules : ImpactSection

    Returns
    -------
    DataFrame
        Table ``stack_effects``: ``stacks, estimate, conf_low, conf_high`` (percentage points of sessions attended), ``df`` (Satterthwaite degrees of freedom;
        all four missing where a group cannot be estimated), ``n_treated, n_comparison``.
    """
    item = next(item for item in found if _leads_on_referred(item))
    lines = []
    for stacks, inside in ((FIRST_STACKS, item.change.rows["windows_before"] == 0), (LATER_STACKS, item.change.rows["windows_before"] > 0)):
        rows = item.change.rows.loc[inside]
        line = {"stacks": stacks, "estimate": np.nan, "conf_low": np.nan, "conf_high": np.nan, "df": np.nan, "n_treated": int((rows["treated"] == 1).sum()),
                "n_comparison": int((rows["treated"] == 0).sum())}
        try:
            change = estimate_change(rows, within_area=item.comparison.design == "within_area", weight="weight")
        except UnidentifiedError:
            lines.append(line)
            continue
        reach = float(stdtrit(change.df, 0.5 + rules.confidence_level / 2.0)) * change.std_error
        lines.append(line | {"estimate": change.estimate, "conf_low": change.estimate - reach, "conf_high": change.estimate + reach, "df": change.df})
    return pd.DataFrame(lines)


def _lead(found: list[Estimated], rules: ImpactSection) -> tuple:
    """Which estimand leads by the registered rule: the offer, where it could see an effect of the registered size per referred pupil."""
    per_referred = [item for item in found if item.comparison.headline and item.comparison.method == PER_REFERRED]
    detectable = np.nan
    if per_referred:
        item = per_referred[0]
        detectable = smallest_detectable_effect(item.std_error, item.change.df, confidence_level=rules.confidence_level, power=rules.power)
    leads = detectable <= rules.offer_leads_up_to
    said = ("the offer effect leads: it does not depend on how pupils were chosen" if leads
            else "the effect on referred pupils leads, and depends on how pupils were chosen: the offer effect could not see an effect of the registered size")
    return ("study", "lead_estimand", 1.0 if leads else 0.0, "1 offer (A), 0 referred (B)", said)


def side_by_side(found: list[Estimated]) -> pd.DataFrame:
    """The change of the treated, the change of similar pupils, and the effect that is left, a row a comparison.

    Parameters
    ----------
    found : list of Estimated

    Returns
    -------
    DataFrame
        ``comparison, change_treated, change_comparison, estimate``, in percentage points of sessions attended. Derived
        comparisons are left out: dividing an effect changes nobody's attendance.
    """
    words = {"within_area": "within areas", "between_areas": "between areas"}
    who = {"A": "all eligible", "B": "referred"}
    return pd.DataFrame([
        {"comparison": f"{who[item.comparison.estimand]}, {words[item.comparison.design]}, {item.comparison.method}",
         "change_treated": item.change.change_treated, "change_comparison": item.change.change_comparison, "estimate": item.estimate}
        for item in found if item.share == 1.0])
